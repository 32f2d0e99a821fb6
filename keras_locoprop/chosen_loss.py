"""Which loss a layer's local problem has."""

from typing import NamedTuple

import keras

from keras_locoprop.losses import MatchingLoss
from keras_locoprop.losses import is_activation_layer
from keras_locoprop.losses import is_non_monotone
from keras_locoprop.losses import matching_loss_of
from keras_locoprop.model_graph import is_linear

_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)


class ChosenLoss(NamedTuple):
    """A local loss and how it came about.

    Attributes:
        loss: The `MatchingLoss`.
        activation: String: the activation that it matches, or should.
        reason: String: why it is the squared loss instead; empty if it is not.
    """

    loss: MatchingLoss
    activation: str
    reason: str


def choose_loss(layer, kind, graph, variant):
    """Chooses the loss of a layer's local problem.

    The loss that matches the layer's activation: its own, that of the
    activation layer which directly follows, or the one that a cross-entropy
    applies to logits.

    Args:
        layer: The layer.
        kind: Its `LayerKind`.
        graph: `ModelGraph` of the model.
        variant: As in `LocoProp`.

    Returns:
        `ChosenLoss`.
    """
    activation, place = _activation_behind(layer, kind, graph)
    name = name_of(activation) + place
    squared_loss = matching_loss_of(keras.activations.linear)
    if variant == "squared":
        return ChosenLoss(squared_loss, name, 'variant="squared"')
    loss = matching_loss_of(activation)
    if loss is None:
        if is_activation_layer(activation):
            why = "is discontinuous, falls, or is not over units"
        elif is_non_monotone(activation):
            why = "is not monotone"
        else:
            why = "is unregistered"
        reason = f"{name_of(activation)} {why}: no matching loss"
        return ChosenLoss(squared_loss, name, reason)
    follower = graph.follower(layer)
    if is_linear(activation) and isinstance(follower, _NORMALIZATIONS):
        reason = f"ends at the pre-activation: {follower.name} follows"
        return ChosenLoss(squared_loss, name, reason)
    return ChosenLoss(loss, name, "")


def name_of(activation):
    """How coverage calls an activation: a function, a layer or `None`."""
    if activation is None:
        return ""
    return getattr(activation, "__name__", None) or type(activation).__name__


def _activation_behind(layer, kind, graph):
    activation = kind.core(layer).activation
    if not is_linear(activation):
        return _inner(activation) or activation, ""
    last = layer
    follower = graph.follower(layer)
    while follower is not None and is_activation_layer(follower):
        if not is_linear(follower):
            return _inner(follower) or follower, f" ({follower.name})"
        last, follower = follower, graph.follower(follower)
    of_loss = graph.activation_of_loss(last)
    if of_loss is not None:
        return of_loss, " (of the loss)"
    return activation, ""


def _inner(activation):
    """The function of an `Activation` layer, or `None`."""
    if is_activation_layer(activation):
        return getattr(activation, "activation", None)
    return None
