"""Activations that are layers of their own."""

import keras
from keras import ops

from keras_locoprop.losses.exponential import elu_potential
from keras_locoprop.losses.matching_loss import MatchingLoss
from keras_locoprop.losses.registry import add_layer_class
from keras_locoprop.losses.registry import matching_loss_of


def rectifier_potential(z, negative_slope=0.0, max_value=None):
    positive = ops.relu(z)
    potential = 0.5 * ops.square(positive)
    if max_value is not None:
        potential = potential - 0.5 * ops.square(ops.relu(z - max_value))
    return potential + 0.5 * negative_slope * ops.square(z - positive)


def function_of(layer):
    """The activation function that a layer is, or `None` if there is none."""
    if type(layer) is keras.layers.Softmax and layer.axis == -1:
        return keras.activations.softmax
    return getattr(layer, "activation", None)


def of_activation(layer):
    return matching_loss_of(layer.activation)


def of_relu(layer):
    if layer.threshold or layer.negative_slope < 0:
        return None  # Not continuous, or not monotone.
    return MatchingLoss(
        "relu",
        layer.call,
        lambda z: rectifier_potential(z, layer.negative_slope, layer.max_value),
    )


def of_leaky_relu(layer):
    if layer.negative_slope < 0:
        return None
    return MatchingLoss(
        "leaky_relu",
        layer.call,
        lambda z: rectifier_potential(z, layer.negative_slope),
    )


def of_prelu(layer):
    # Its slopes are held for the length of a solve; the fallback trains them.
    # Not the layer itself, which takes tensors of its own precision alone.
    def slopes(z):
        return ops.cast(layer.alpha, z.dtype)

    def potential(z):
        positive, negative = ops.square(ops.relu(z)), ops.square(ops.relu(-z))
        return 0.5 * positive + 0.5 * slopes(z) * negative

    return MatchingLoss(
        "prelu", lambda z: ops.relu(z) - slopes(z) * ops.relu(-z), potential
    )


def of_elu(layer):
    return MatchingLoss(
        "elu", layer.call, lambda z: elu_potential(z, layer.alpha)
    )


def of_softmax(layer):
    if layer.axis != -1:
        return None
    return matching_loss_of(keras.activations.softmax)


for layer_class, make_loss in (
    (keras.layers.Activation, of_activation),
    (keras.layers.ReLU, of_relu),
    (keras.layers.LeakyReLU, of_leaky_relu),
    (keras.layers.PReLU, of_prelu),
    (keras.layers.ELU, of_elu),
    (keras.layers.Softmax, of_softmax),
):
    add_layer_class(layer_class, make_loss)
