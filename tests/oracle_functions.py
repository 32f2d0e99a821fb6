"""Activations, losses and optimizers of the oracle, in float64 NumPy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Activation:
    """`value(z)`, and `backward(z, upstream)`, the gradient at z.

    `has_matching_loss` is false where the activation is not a non-decreasing
    function of z, nor the gradient of a convex function of several variables.
    """

    value: Callable
    backward: Callable
    has_matching_loss: bool = True


def elementwise(value, derivative, has_matching_loss=True):
    return Activation(
        value,
        lambda z, upstream: derivative(z) * upstream,
        has_matching_loss,
    )


def sigmoid(z):
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def softmax(z):
    exponentials = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return exponentials / np.sum(exponentials, axis=-1, keepdims=True)


def softmax_backward(z, upstream):
    y = softmax(z)
    return y * (upstream - np.sum(y * upstream, axis=-1, keepdims=True))


def log_softmax(z):
    shifted = z - np.max(z, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def log_softmax_backward(z, upstream):
    return upstream - softmax(z) * np.sum(upstream, axis=-1, keepdims=True)


def negative_part(z):
    """Keeps the exponential from overflowing on the side not asked for."""
    return np.minimum(z, 0.0)


SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772

# By Keras's names, and with Keras's default parameters.
ACTIVATIONS = {
    "linear": elementwise(lambda z: z, np.ones_like),
    "tanh": elementwise(np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "sigmoid": elementwise(sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "relu": elementwise(lambda z: np.maximum(z, 0.0), lambda z: 1.0 * (z > 0)),
    "relu6": elementwise(
        lambda z: np.clip(z, 0.0, 6.0), lambda z: 1.0 * ((z > 0) & (z < 6))
    ),
    "leaky_relu": elementwise(
        lambda z: np.where(z > 0, z, 0.2 * z),
        lambda z: np.where(z > 0, 1.0, 0.2),
    ),
    "softplus": elementwise(lambda z: np.logaddexp(z, 0.0), sigmoid),
    "softsign": elementwise(
        lambda z: z / (1.0 + np.abs(z)), lambda z: (1.0 + np.abs(z)) ** -2
    ),
    "elu": elementwise(
        lambda z: np.where(z > 0, z, np.expm1(negative_part(z))),
        lambda z: np.where(z > 0, 1.0, np.exp(negative_part(z))),
    ),
    "selu": elementwise(
        lambda z: (
            SELU_SCALE
            * np.where(z > 0, z, SELU_ALPHA * np.expm1(negative_part(z)))
        ),
        lambda z: (
            SELU_SCALE
            * np.where(z > 0, 1.0, SELU_ALPHA * np.exp(negative_part(z)))
        ),
    ),
    "exponential": elementwise(np.exp, np.exp),
    "hard_sigmoid": elementwise(
        lambda z: np.clip(z / 6.0 + 0.5, 0.0, 1.0),
        lambda z: (np.abs(z) < 3) / 6.0,
    ),
    "softmax": Activation(softmax, softmax_backward),
    "silu": elementwise(
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) * (1.0 + z * sigmoid(-z)),
        has_matching_loss=False,
    ),
    # Its Jacobian is not symmetric, so it is the gradient of nothing.
    "log_softmax": Activation(
        log_softmax, log_softmax_backward, has_matching_loss=False
    ),
}


@dataclass(frozen=True)
class Loss:
    """`value(y, output)` per example, and its gradient at the output."""

    value: Callable
    gradient: Callable


# Gradients are divided by the number of features where Keras's loss is a mean
# over them; a mean over the batch is never part of an example's own loss.
LOSSES = {
    "summed_binary_crossentropy": Loss(
        lambda y, p: -np.sum(y * np.log(p) + (1 - y) * np.log1p(-p), axis=-1),
        lambda y, p: (p - y) / (p * (1 - p)),
    ),
    "binary_crossentropy": Loss(
        lambda y, p: -np.mean(y * np.log(p) + (1 - y) * np.log1p(-p), axis=-1),
        lambda y, p: (p - y) / (p * (1 - p)) / p.shape[-1],
    ),
    "mean_squared_error": Loss(
        lambda y, p: np.mean((p - y) ** 2, axis=-1),
        lambda y, p: 2.0 * (p - y) / p.shape[-1],
    ),
    "huber": Loss(
        lambda y, p: np.mean(
            np.where(
                np.abs(p - y) <= 1.0,
                0.5 * (p - y) ** 2,
                np.abs(p - y) - 0.5,
            ),
            axis=-1,
        ),
        lambda y, p: np.clip(p - y, -1.0, 1.0) / p.shape[-1],
    ),
    "categorical_crossentropy": Loss(
        lambda y, p: -np.sum(y * np.log(p), axis=-1),
        lambda y, p: -y / p,
    ),
}


class Optimizer:
    """One optimizer for all weights, with Keras's formulas.

    A subclass gives `update`, which returns the new value of one weight.
    """

    def __init__(self, **hyperparameters):
        vars(self).update(self.defaults | hyperparameters)
        self.iterations = 0
        self.slots = {}

    def apply(self, weights, gradients, rates):
        self.iterations += 1
        triples = zip(weights, gradients, rates, strict=True)
        return [
            self.update(index, weight, gradient, rate)
            for index, (weight, gradient, rate) in enumerate(triples)
        ]

    def slot(self, name, index, weight, start=0.0):
        return self.slots.get((name, index), np.full_like(weight, start))

    def keep(self, name, index, value):
        self.slots[name, index] = value
        return value


class SGD(Optimizer):
    defaults = {"momentum": 0.0, "nesterov": False}

    def update(self, index, weight, gradient, rate):
        velocity = self.momentum * self.slot("momentum", index, weight)
        velocity = self.keep("momentum", index, velocity - rate * gradient)
        if self.nesterov:
            return weight + self.momentum * velocity - rate * gradient
        return weight + velocity


class Adagrad(Optimizer):
    defaults = {"initial_accumulator_value": 0.1, "epsilon": 1e-7}

    def update(self, index, weight, gradient, rate):
        start = self.initial_accumulator_value
        total = self.slot("accumulator", index, weight, start) + gradient**2
        self.keep("accumulator", index, total)
        return weight - rate * gradient / np.sqrt(total + self.epsilon)


class RMSprop(Optimizer):
    """`initial_mean_square` is zero in Keras, one in TensorFlow 1."""

    defaults = {
        "rho": 0.9,
        "momentum": 0.0,
        "epsilon": 1e-7,
        "initial_mean_square": 0.0,
    }

    def update(self, index, weight, gradient, rate):
        start = self.initial_mean_square
        mean_square = self.rho * self.slot("velocity", index, weight, start)
        mean_square = mean_square + (1 - self.rho) * gradient**2
        self.keep("velocity", index, mean_square)
        step = rate * gradient / np.sqrt(mean_square + self.epsilon)
        step = step + self.momentum * self.slot("momentum", index, weight)
        return weight - self.keep("momentum", index, step)


class Adam(Optimizer):
    defaults = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}

    def update(self, index, weight, gradient, rate):
        mean = self.beta_1 * self.slot("momentum", index, weight)
        mean = self.keep("momentum", index, mean + (1 - self.beta_1) * gradient)
        square = self.beta_2 * self.slot("velocity", index, weight)
        square = square + (1 - self.beta_2) * gradient**2
        self.keep("velocity", index, square)
        # Keras moves the bias correction into the rate, so epsilon is added
        # to the uncorrected root.
        rate = rate * np.sqrt(1 - self.beta_2**self.iterations)
        rate = rate / (1 - self.beta_1**self.iterations)
        return weight - rate * mean / (np.sqrt(square) + self.epsilon)
