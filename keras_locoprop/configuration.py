"""The settings that LocoProp comes with."""

import keras
import numpy as np

from keras_locoprop.solvers import SQUARED_ONLY
from keras_locoprop.solvers import WITHOUT_RATE

AUTO = "auto"
WEIGHT_AVERAGING = 0.98


def default_inner_optimizer():
    """RMSprop with heavy momentum, as in the paper's experiments."""
    return keras.optimizers.RMSprop(1e-3, rho=0.9, momentum=0.99)


def resolve_defaults(is_automatic, variant, solver, output_scaling):
    """Fills in what depends on other arguments; see `LocoProp`.

    Args:
        is_automatic: Boolean: whether the learning rate is `"auto"`.
        variant: As in `LocoProp`.
        solver: Likewise.
        output_scaling: Likewise.

    Returns:
        Tuple `(variant, solver, output_scaling)`.
    """
    if solver is None:
        solver = "exact" if is_automatic else "iterative"
    if variant is None:
        variant = "squared" if solver in SQUARED_ONLY else "matching"
    if output_scaling == AUTO:
        is_full = is_automatic and solver == "exact"
        output_scaling = "full" if is_full else None
    return variant, solver, output_scaling


def default_weight_averaging(
    is_automatic, solver, inner_optimizer, keras_arguments
):
    """That of the default inner optimizer, unless Keras averages already."""
    if (
        is_automatic
        or solver in WITHOUT_RATE
        or inner_optimizer is not None
        or keras_arguments.get("use_ema")
    ):
        return 0.0
    return WEIGHT_AVERAGING


def with_python_numbers(arguments):
    """The same with NumPy's numbers as Python's, which can be saved."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in arguments.items()
    }


def paper_arguments():
    """The arguments of the paper's experiments, as keywords of `LocoProp`."""
    return {
        "activation_learning_rate": 0.01,
        "gradient_scaling": "absolute",
        "inner_steps": 10,
        "inner_batch_size": "all",
        # The paper's code sums over the 1000 rows of a batch where this package
        # has means: 1e-5 under the root there is 1e-5 / 1000² here.
        "inner_optimizer": keras.optimizers.RMSprop(
            1e-5, rho=0.9, momentum=0.999, epsilon=1e-11
        ),
        "learning_rate_scaling": "absolute",
    }
