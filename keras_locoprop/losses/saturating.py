"""Smooth activations that level off on both sides."""

import math

from keras import activations
from keras import ops

from keras_locoprop.losses.matching_loss import MatchingLoss
from keras_locoprop.losses.registry import add


def tanh_potential(z):
    # log cosh z, in the form that does not overflow.
    magnitude = ops.abs(z)
    return magnitude + ops.softplus(-2.0 * magnitude) - math.log(2.0)


def softsign_potential(z):
    magnitude = ops.abs(z)
    return magnitude - ops.log1p(magnitude)


def softmax_potential(z):
    return ops.logsumexp(z, axis=-1)


for activation, potential, elementwise in (
    (activations.tanh, tanh_potential, True),
    (activations.sigmoid, ops.softplus, True),
    (activations.softsign, softsign_potential, True),
    (activations.softmax, softmax_potential, False),
):
    add(MatchingLoss(activation.__name__, activation, potential, elementwise))
