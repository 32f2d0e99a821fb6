"""Which activation has which matching loss."""

import collections.abc

import keras

from keras_locoprop.losses.matching_loss import MatchingLoss
from keras_locoprop.losses.matching_loss import check_is_gradient

_LOSSES = {}
_LOSSES_OF_LAYERS = {}
_NON_MONOTONE = [
    keras.activations.gelu,
    keras.activations.glu,
    keras.activations.hard_silu,
    keras.activations.mish,
    keras.activations.silu,
]


def register_matching_loss(activation, potential, name=None, elementwise=True):
    """Gives an activation function of your own a matching loss.

    Layers whose `activation` is this very function are then trained by the
    matching loss `F(z) - a · z` (gradient `f(z) - a`) instead of by the squared
    loss.

    Args:
        activation: Callable `f` on tensors, non-decreasing (elementwise) or the
            gradient of a convex function (`elementwise=False`).
        potential: Callable `F` on tensors with `∇F = f`. Elementwise, or, with
            `elementwise=False`, mapping `(..., units)` to `(...)`. A constant
            added to it changes nothing.
        name: String. How `coverage` calls the loss. Defaults to the function's
            own name.
        elementwise: Boolean. Whether `f` acts on each unit by itself. Defaults
            to `True`.

    Returns:
        The registered `MatchingLoss`.

    Raises:
        ValueError: If `potential` does not have `activation` as its gradient,
            or if `activation` decreases somewhere, both checked on a grid; or
            if one of them returns another shape.

    Example:

    >>> from keras import ops
    >>> def cube_root_free(z):
    ...     return z + z**3
    >>> loss = register_matching_loss(
    ...     cube_root_free, lambda z: 0.5 * z**2 + 0.25 * z**4
    ... )
    >>> loss.name
    'cube_root_free'

    Reference:
        Amid, Anil, Warmuth, [LocoProp](https://arxiv.org/abs/2106.06199),
        Section 3, equation of the matching loss.
    """
    for argument, value in (
        ("activation", activation),
        ("potential", potential),
    ):
        if not callable(value):
            raise ValueError(
                f"`{argument}` must be callable. Received: {argument}={value}"
            )
    if not isinstance(activation, collections.abc.Hashable):
        raise ValueError(
            "`activation` must be hashable: layers are matched by it. "
            f"Received: activation={activation}"
        )
    check_is_gradient(activation, potential, elementwise)
    name = name or getattr(activation, "__name__", None) or str(activation)
    return add(MatchingLoss(name, activation, potential, elementwise))


def add(loss):
    """Registers a loss that is known to be right."""
    _LOSSES[loss.activation] = loss
    return loss


def add_layer_class(layer_class, make_loss):
    """Registers a class of activation layers.

    Args:
        layer_class: The exact class.
        make_loss: Callable that maps such a layer to its `MatchingLoss`, or to
            `None` if this very layer has none.
    """
    _LOSSES_OF_LAYERS[layer_class] = make_loss


def is_activation_layer(layer):
    """Whether a layer is nothing but an activation."""
    return type(layer) in _LOSSES_OF_LAYERS


def matching_loss_of(activation):
    """The matching loss of an activation, or `None` if it has none.

    Args:
        activation: A function, an activation layer, or `None`: linear.
    """
    if is_activation_layer(activation):
        return _LOSSES_OF_LAYERS[type(activation)](activation)
    try:
        return _LOSSES.get(named_alike(activation))
    except TypeError:  # An unhashable callable cannot have been registered.
        return None


def named_alike(activation):
    """That of `keras.activations`, for `None` and functions of `keras.ops`."""
    if activation is None:
        return keras.activations.linear
    name = getattr(activation, "__name__", None)
    if name and getattr(keras.ops, name, None) is activation:
        return getattr(keras.activations, name, activation)
    return activation


def is_non_monotone(activation):
    """Whether this is an activation that no matching loss can exist for."""
    return named_alike(activation) in _NON_MONOTONE


def registered_matching_losses():
    """All registered losses, in order of registration."""
    return list(_LOSSES.values())
