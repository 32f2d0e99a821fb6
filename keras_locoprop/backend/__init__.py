"""The one place where a framework is named.

Each backend of Keras that is served has a folder here, with the same functions
in the same files. What each function does is said in `tensorflow`; the others
differ in how.
"""

import importlib

import keras

FUNCTIONS = {
    "differentiation": (
        "differentiate",
        "gradient",
        "probe",
        "pulled_back",
        "vector_jacobian_product",
    ),
    "means": ("Means",),
    "optimizers": ("apply", "update_class"),
    "products": (
        "function_vector_product",
        "hessian_products",
        "jacobian_products",
    ),
    "steps": (
        "builds_models_first",
        "call_aside",
        "check_distribution",
        "compiled",
        "cond",
        "current_trace",
        "repeat",
        "run_train_step",
        "step_function",
        "train_function",
        "variable_scope",
    ),
    "tensors": ("cholesky", "snapshot", "version", "widest_float"),
}
_SERVED = ("tensorflow", "jax", "torch")

if keras.backend.backend() not in _SERVED:
    raise ImportError(
        f"keras_locoprop runs on the backends {', '.join(_SERVED)} of Keras. "
        f"Received: keras.backend.backend()={keras.backend.backend()!r}. "
        "Set the environment variable KERAS_BACKEND to one of them before "
        "Keras is imported."
    )
for _file, _names in FUNCTIONS.items():
    _module = importlib.import_module(
        f"{__name__}.{keras.backend.backend()}.{_file}"
    )
    globals().update({name: getattr(_module, name) for name in _names})
