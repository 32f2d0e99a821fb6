"""Keras optimizers at work inside a step."""

import contextlib

from keras import ops

from keras_locoprop import backend
from keras_locoprop import keras_private


def copy_with_rate(optimizer, rate, rate_factor):
    """A fresh copy of a Keras optimizer that takes its rate from outside.

    Args:
        optimizer: The `keras.optimizers.Optimizer` to copy.
        rate: Callable without arguments; returns the present rate.
        rate_factor: Callable that maps the position of a weight, among those
            that the copy is built for, to what its rate is multiplied by.

    Returns:
        Tuple `(copy, is_fused)`; a fused one passes over memory once by itself.
    """
    base, is_fused = backend.update_class(optimizer)

    class WithRateFactor(base):
        def update_step(self, gradient, variable, learning_rate):
            factor = rate_factor(keras_private.variable_index(self, variable))
            rate = factor * ops.cast(learning_rate, variable.dtype)
            super().update_step(gradient, variable, rate)

    config = optimizer.get_config() | {"learning_rate": rate}
    copy = WithRateFactor.from_config(config)
    keras_private.copy_weight_decay_exclusions(optimizer, copy)
    return copy, is_fused


def put_back(weights, starts):
    """Puts the weights back to `starts`, and returns their displacements.

    The displacement `start - weight` has the sign of a gradient, so that the
    rest of Keras (clipping, weight decay, averaging, accumulation) can treat it
    as one.
    """
    moved = [start - weight for weight, start in zip(weights, starts)]
    for weight, start in zip(weights, starts):
        weight.assign(start)
    return moved


@contextlib.contextmanager
def without_constraints(weights):
    """Leaves the weights' constraints to the step that applies displacements.

    Projected twice, a weight would end elsewhere: not every constraint is a
    projection.
    """
    constraints = [weight.constraint for weight in weights]
    for weight in weights:
        weight.constraint = None
    try:
        yield
    finally:
        for weight, constraint in zip(weights, constraints):
            weight.constraint = constraint


@contextlib.contextmanager
def at_displaced_weights(weights, displacements):
    """Within it, weights are where their displacements lead."""
    starts = [backend.snapshot(weight) for weight in weights]
    for weight, start, displacement in zip(weights, starts, displacements):
        weight.assign(start - displacement)
    try:
        yield
    finally:
        for weight, start in zip(weights, starts):
            weight.assign(start)
