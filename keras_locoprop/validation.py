"""The rules that LocoProp's arguments obey."""

import copy

import keras

from keras_locoprop.layer_patterns import is_list_of_patterns
from keras_locoprop.solvers import SOLVERS
from keras_locoprop.solvers import SQUARED_ONLY
from keras_locoprop.solvers import WITHOUT_RATE
from keras_locoprop.solvers import WITHOUT_SLICES

VARIANTS = ("matching", "squared")
SCALINGS = ("relative", "absolute")
OUTPUT_SCALINGS = (None, "unit", "full")


def check_arguments(arguments):
    """Raises a `ValueError` for the first argument that breaks its rule.

    Args:
        arguments: Dict of LocoProp's own arguments.
    """
    for name, (holds, rule) in _RULES.items():
        value = arguments[name]
        if not holds(value):
            raise ValueError(
                f"`{name}` must be {rule}. Received: {name}={value!r}"
            )
    solver, variant = arguments["solver"], arguments["variant"]
    if solver in SQUARED_ONLY and variant != "squared":
        raise ValueError(
            f'`variant` must be "squared" with `solver="{solver}"`. '
            f"Received: variant={variant!r}"
        )
    if arguments["proximal"] and solver in WITHOUT_RATE:
        raise ValueError(
            f'`proximal` must be 0 with `solver="{solver}"`, whose `damping` '
            f"takes its place. Received: proximal={arguments['proximal']}"
        )
    size = arguments["inner_batch_size"]
    if _is_integer(size) and solver in WITHOUT_SLICES:
        raise ValueError(
            f'`inner_batch_size` must be `None` or "all" with '
            f'`solver="{solver}"`, which takes all examples. Received: '
            f"inner_batch_size={size}"
        )
    scaling = arguments["output_scaling"]
    if scaling is not None and solver != "exact":
        raise ValueError(
            '`output_scaling` must be `None` unless `solver` is "exact". '
            f"Received: output_scaling={scaling!r}, solver={solver!r}"
        )


def check_automatic(keras_arguments):
    """Raises if an argument of Keras does not go with an automatic step."""
    steps = keras_arguments.get("gradient_accumulation_steps")
    if steps:
        raise ValueError(
            "`gradient_accumulation_steps` must not be set with "
            '`learning_rate="auto"`, which looks at the loss after each step. '
            f"Received: gradient_accumulation_steps={steps}"
        )
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        if keras_arguments.get(name):
            raise ValueError(
                f'`{name}` must not be set with `learning_rate="auto"`, which '
                "goes by what its steps, as they are, do to the loss. "
                f"Received: {name}={keras_arguments[name]}"
            )


# Optimizers that hand their work to others; Keras 3.15 has the second one.
WRAPPERS = tuple(
    getattr(keras.optimizers, name)
    for name in ("LossScaleOptimizer", "MultiOptimizer")
    if hasattr(keras.optimizers, name)
)


def resolve_optimizer(argument, identifier, unusable):
    """The Keras optimizer that an argument stands for.

    Args:
        argument: String, the name of the argument.
        identifier: An optimizer, its configuration or its name.
        unusable: Tuple of classes of optimizers that cannot work inside of one.

    Raises:
        ValueError: If it stands for no optimizer, or for one that cannot be
            used.
    """
    rule = (
        f"`{argument}` must be a Keras optimizer, its configuration or its "
        "name, other than LocoProp or one that wraps others. "
        f"Received: {argument}={identifier}"
    )
    try:
        if isinstance(identifier, dict):
            # Keras writes into the configurations that it is given.
            identifier = copy.deepcopy(identifier)
        optimizer = keras.optimizers.get(identifier)
    except (TypeError, ValueError) as error:
        raise ValueError(rule) from error
    if optimizer is None or isinstance(optimizer, unusable):
        raise ValueError(rule)
    try:
        type(optimizer).from_config(optimizer.get_config())
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{argument}` must be an optimizer that its own configuration "
            "makes again, which a learning rate that is a lambda prevents. "
            f"Received: {argument}={identifier}"
        ) from error
    for setting in (
        "use_ema",
        "gradient_accumulation_steps",
        "loss_scale_factor",
    ):
        if getattr(optimizer, setting):
            raise ValueError(
                f"`{argument}` must not set `{setting}`; give it to `LocoProp` "
                f"itself. Received: {setting}={getattr(optimizer, setting)}"
            )
    return optimizer


def check_rate_is_constant(argument, optimizer, is_automatic, solver):
    """Raises if a schedule would stay at its first value.

    With an automatic step, and beside exact solutions, the rate of the inner
    optimizer is read once.

    Args:
        argument: String, the name of the argument.
        optimizer: The inner optimizer.
        is_automatic: Boolean: whether LocoProp's rate is `"auto"`.
        solver: String.
    """
    is_read = is_automatic and solver not in WITHOUT_RATE or solver == "exact"
    rate = optimizer.get_config().get("learning_rate")
    if is_read and isinstance(rate, dict):
        raise ValueError(
            f"`{argument}` must have a number for its learning rate where "
            '`learning_rate="auto"` or `solver="exact"` multiply it by '
            f"something else. Received: {argument}={optimizer}, with "
            f"learning_rate={rate}"
        )


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value):
    return _is_number(value) and 0 < value < float("inf")


def _is_finite_and_not_negative(value):
    return _is_number(value) and 0 <= value < float("inf")


def _is_rate(value):
    # Schedules that end at zero leave it behind, also in what is saved.
    return (
        value is None
        or (isinstance(value, str) and value == "auto")
        or _is_finite_and_not_negative(value)
        or isinstance(
            value, keras.optimizers.schedules.LearningRateSchedule | dict
        )
        or callable(value)
    )


_RULES = {
    "learning_rate": (
        _is_rate,
        'a float >= 0, "auto", a '
        "`keras.optimizers.schedules.LearningRateSchedule` or a callable",
    ),
    "activation_learning_rate": (_is_positive, "a positive float"),
    "variant": (VARIANTS.__contains__, f"one of {VARIANTS}"),
    "gradient_scaling": (SCALINGS.__contains__, f"one of {SCALINGS}"),
    "learning_rate_scaling": (SCALINGS.__contains__, f"one of {SCALINGS}"),
    "solver": (SOLVERS.__contains__, f"one of {SOLVERS}"),
    "output_scaling": (
        OUTPUT_SCALINGS.__contains__,
        f'"auto" or one of {OUTPUT_SCALINGS}',
    ),
    "damping": (_is_positive, "a positive float"),
    "curvature_period": (
        lambda value: _is_integer(value) and value >= 1,
        "an integer >= 1",
    ),
    "maximum_width": (
        lambda value: _is_integer(value) and value >= 0,
        "an integer >= 0",
    ),
    "inner_steps": (
        lambda value: _is_integer(value) and value >= 1,
        "an integer >= 1",
    ),
    "inner_batch_size": (
        lambda value: (
            value in (None, "all") or (_is_integer(value) and value >= 1)
        ),
        'an integer >= 1, "all" or `None`',
    ),
    "inner_decay": (
        lambda value: _is_number(value) and 0 <= value <= 1,
        "in the range [0, 1]",
    ),
    "weight_averaging": (
        lambda value: _is_number(value) and 0 <= value < 1,
        "in the range [0, 1), or `None`",
    ),
    "proximal": (_is_finite_and_not_negative, "a float >= 0"),
    "exclude": (
        is_list_of_patterns,
        "a list of layer names or regular expressions, or `None`",
    ),
}
