"""Keras optimizers at work inside a step."""

import contextlib

from keras_locoprop import backend


def copy_with_rate(optimizer, rate):
    """A fresh copy of a Keras optimizer that takes its rate from a callable.

    Returns:
        Tuple `(copy, is_fused)`; a fused one passes over memory once by itself.
    """
    fused_class = backend.fused_class(optimizer)
    config = optimizer.get_config() | {"learning_rate": rate}
    copy = (fused_class or type(optimizer)).from_config(config)
    return copy, fused_class is not None


def displacements(weights, starts):
    """How far the weights have come from `starts`; puts them back there.

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
