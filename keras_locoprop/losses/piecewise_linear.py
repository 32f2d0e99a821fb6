"""Activations made of straight pieces; their potentials are quadratic."""

from keras import activations
from keras import ops

from keras_locoprop.losses.matching_loss import MatchingLoss
from keras_locoprop.losses.registry import add


def linear_potential(z):
    return 0.5 * ops.square(z)


def relu_potential(z):
    return 0.5 * ops.square(ops.relu(z))


def leaky_relu_potential(z):
    return 0.5 * z * activations.leaky_relu(z)


def relu6_potential(z):
    return relu_potential(z) - relu_potential(z - 6.0)


def hard_tanh_potential(z):
    return relu_potential(z + 1.0) - relu_potential(z - 1.0) - z


def hard_sigmoid_potential(z):
    return (relu_potential(z + 3.0) - relu_potential(z - 3.0)) / 6.0


for activation, potential in (
    (activations.linear, linear_potential),
    (activations.relu, relu_potential),
    (activations.leaky_relu, leaky_relu_potential),
    (activations.relu6, relu6_potential),
    (activations.hard_tanh, hard_tanh_potential),
    (activations.hard_sigmoid, hard_sigmoid_potential),
):
    add(MatchingLoss(activation.__name__, activation, potential))
