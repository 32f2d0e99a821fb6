"""The settings that LocoProp comes with."""

import keras

from keras_locoprop.solvers import SQUARED_ONLY

AUTO = "auto"


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
