"""The one place where a framework is named."""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_locoprop.backend.tensorflow import cholesky
    from keras_locoprop.backend.tensorflow import compiled
    from keras_locoprop.backend.tensorflow import differentiate
    from keras_locoprop.backend.tensorflow import gradient
    from keras_locoprop.backend.tensorflow import replicas
    from keras_locoprop.backend.tensorflow import rows
    from keras_locoprop.backend.tensorflow import snapshot
    from keras_locoprop.backend.tensorflow import vector_jacobian_product
    from keras_locoprop.backend.tensorflow_optimizers import fused_class
    from keras_locoprop.backend.tensorflow_products import (
        function_vector_product,
    )
    from keras_locoprop.backend.tensorflow_products import hessian_products
    from keras_locoprop.backend.tensorflow_products import jacobian_products
    from keras_locoprop.backend.tensorflow_products import pulled_back
else:
    raise ImportError(
        "keras_locoprop runs on the TensorFlow backend of Keras. "
        f"Received: keras.backend.backend()={keras.backend.backend()!r}. "
        "Set the environment variable KERAS_BACKEND=tensorflow before Keras "
        "is imported."
    )

__all__ = [
    "cholesky",
    "compiled",
    "differentiate",
    "function_vector_product",
    "fused_class",
    "gradient",
    "hessian_products",
    "jacobian_products",
    "pulled_back",
    "replicas",
    "rows",
    "snapshot",
    "vector_jacobian_product",
]
