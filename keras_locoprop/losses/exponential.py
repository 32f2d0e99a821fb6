"""Activations built from the exponential function."""

import math

from keras import activations
from keras import ops

from keras_locoprop.losses.matching_loss import MatchingLoss
from keras_locoprop.losses.registry import add

# Bernoulli numbers over factorials, B_n / (n + 1)!, for n = 0, 2, 4, ...
_DILOGARITHM_SERIES = (
    (1, 1.0),
    (3, 1.0 / 36),
    (5, -1.0 / 3600),
    (7, 1.0 / 211680),
    (9, -1.0 / 10886400),
    (11, 1.0 / 526901760),
)
_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


def softplus_potential(z):
    # The integral of log(1 + exp(z)) is -Li2(-exp(z)). With t = log(1 + exp(z))
    # it has a series in t that converges fast for z <= 0; positive z are
    # brought there by the inversion formula of the dilogarithm.
    t = ops.softplus(-ops.abs(z))
    negative_side = 0.25 * ops.square(t)
    for power, coefficient in _DILOGARITHM_SERIES:
        negative_side = negative_side + coefficient * t**power
    positive_side = math.pi**2 / 6.0 + 0.5 * ops.square(z) - negative_side
    return ops.where(z > 0, positive_side, negative_side)


def elu_potential(z, alpha=1.0):
    negative = ops.minimum(z, 0.0)
    return 0.5 * ops.square(ops.relu(z)) + alpha * (
        ops.expm1(negative) - negative
    )


def selu_potential(z):
    return _SELU_SCALE * elu_potential(z, _SELU_ALPHA)


for activation, potential in (
    (activations.softplus, softplus_potential),
    (activations.elu, elu_potential),
    (activations.selu, selu_potential),
    (activations.exponential, ops.exp),
):
    add(MatchingLoss(activation.__name__, activation, potential))
