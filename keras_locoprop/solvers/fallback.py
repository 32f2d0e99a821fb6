"""Weights without a local problem."""

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.solvers.keras_optimizer import put_back
from keras_locoprop.solvers.keras_optimizer import without_constraints


class FallbackSolver:
    """Trains weights without a local problem by one step of an optimizer.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, used as a template: the
            solver works with a copy, at the template's own learning rate.
    """

    def __init__(self, optimizer):
        self._optimizer = type(optimizer).from_config(optimizer.get_config())
        keras_private.copy_weight_decay_exclusions(optimizer, self._optimizer)

    def build(self, weights):
        self._optimizer.build(weights)

    @property
    def variables(self):
        return self._optimizer.variables

    def solve(self, weights, gradients):
        """Returns the displacement of each weight; leaves the weights alone.

        Args:
            weights: List of `keras.Variable`.
            gradients: List of the gradients of the training loss.
        """
        starts = [backend.snapshot(weight) for weight in weights]
        with without_constraints(weights):
            self._optimizer.apply(gradients, weights)
        return put_back(weights, starts)
