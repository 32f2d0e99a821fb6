"""A model's weights, kept at a mean of the weights that are trained."""

import contextlib

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop.precision import full_precision

# Means are over a part of all steps, one in this number.
GROWTH = 20


class AveragedWeights:
    r"""Keeps weights at the running mean of the weights that are trained.

    Steps are taken from *leading* weights `L`, and after each step

    `W ← m W + (1 - m) L`, `m = min(momentum, t / (t + 20))`,

    `t` being the number of steps before: over about the last twentieth of all
    steps, and over `1 / (1 - momentum)` at most. What single batches and a
    heavy momentum of the inner optimizer do to `L` averages out in `W`.

    Between steps the model holds `W`, and the state `L - W`: weights that are
    set in between are where training goes on. Within `leading` the model holds
    `L`, and the state `W`.

    Weights with a constraint, which a mean need not obey, and such in half
    precision, which would round it away, lead themselves.

    Args:
        momentum: Float in `[0, 1)`; at `0.0` there is nothing to keep.
    """

    def __init__(self, momentum):
        self.momentum = momentum
        self.is_leading = False
        self._steps = None
        self._pairs = []

    def build(self, weights):
        """Creates the state.

        Args:
            weights: List of `keras.Variable`s.
        """
        if not self.momentum:
            return
        self._steps = keras.Variable(
            0.0, dtype=full_precision(), trainable=False, name="averaged_steps"
        )
        self._pairs = [
            (
                weight,
                keras.Variable(
                    "zeros",
                    shape=weight.shape,
                    dtype=weight.dtype,
                    trainable=False,
                    name=f"{weight.path.replace('/', '_')}_lead",
                ),
            )
            for weight in weights
            if weight.constraint is None
            and weight.dtype == full_precision(weight.dtype)
        ]

    @property
    def variables(self):
        if not self._pairs:
            return []
        return [self._steps, *(state for _, state in self._pairs)]

    def leading(self, compiled=lambda function: function):
        """Makes the context within which the model holds the leading weights.

        Args:
            compiled: Callable that maps a function without arguments, which
                assigns variables, to a faster one.

        Returns:
            Callable without arguments; returns a context manager.
        """
        enter, leave = compiled(self._enter), compiled(self._leave)

        @contextlib.contextmanager
        def context():
            # The first step of a model may be what builds it.
            was_built = bool(self._pairs)
            self.is_leading = True
            if was_built:
                enter()
            try:
                yield
            finally:
                self.is_leading = False
                # Until its first step is over the state is as it was built.
                if self._pairs and (was_built or self._steps > 0):
                    leave()

        return context

    def _enter(self):
        for weight, state in self._trained_pairs():
            mean = backend.snapshot(weight)
            weight.assign(mean + state)
            state.assign(mean)

    def _leave(self):
        for weight, state in self._trained_pairs():
            mean = backend.snapshot(state)
            state.assign(weight - mean)
            weight.assign(mean)

    def follow(self):
        """Moves the mean after a step of the leading weights."""
        if not self.is_leading or not self._pairs:
            return
        momentum = ops.minimum(
            self.momentum, self._steps / (self._steps + GROWTH)
        )
        for weight, mean in self._trained_pairs():
            part = ops.cast(1 - momentum, weight.dtype)
            mean.assign_add(part * (weight - mean))
        self._steps.assign_add(1)

    def _trained_pairs(self):
        return [(w, state) for w, state in self._pairs if w.trainable]
