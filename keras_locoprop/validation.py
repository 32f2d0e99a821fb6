"""The rules that LocoProp's arguments obey."""

import re

import keras

VARIANTS = ("matching", "squared")
SCALINGS = ("relative", "absolute")


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


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value):
    return _is_number(value) and 0 < value < float("inf")


def _is_rate(value):
    return (
        value is None
        or _is_positive(value)
        or isinstance(
            value, keras.optimizers.schedules.LearningRateSchedule | dict
        )
        or callable(value)
    )


def _is_list_of_patterns(value):
    if value is None:
        return True
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        return False
    try:
        return all(re.compile(pattern) for pattern in value)
    except (TypeError, re.error):
        return False


_RULES = {
    "learning_rate": (
        _is_rate,
        "a positive float, a `keras.optimizers.schedules.LearningRateSchedule`"
        " or a callable",
    ),
    "activation_learning_rate": (_is_positive, "a positive float"),
    "variant": (VARIANTS.__contains__, f"one of {VARIANTS}"),
    "gradient_scaling": (SCALINGS.__contains__, f"one of {SCALINGS}"),
    "learning_rate_scaling": (SCALINGS.__contains__, f"one of {SCALINGS}"),
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
    "proximal": (
        lambda value: _is_number(value) and 0 <= value < float("inf"),
        "a float >= 0",
    ),
    "exclude": (
        _is_list_of_patterns,
        "a list of layer names or regular expressions, or `None`",
    ),
}
