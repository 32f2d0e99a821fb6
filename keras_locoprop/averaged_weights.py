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

    Between steps the model holds `W`, and the state `L - W`: from weights that
    are set in between training goes on, with that difference. Within `leading`
    the model holds `L`, and the state `W`.

    Weights with a constraint, which a mean need not obey, and such in half
    precision, which would round it away, lead themselves.

    Args:
        momentum: Float in `[0, 1)`; at `0.0` there is nothing to keep.

    Reference:
        Polyak, Juditsky, [Acceleration of Stochastic Approximation by
        Averaging](https://doi.org/10.1137/0330046), 1992.
    """

    def __init__(self, momentum):
        self.momentum = momentum
        self.is_leading = False
        # Whether something was interrupted that might have left it so.
        self._is_in_doubt = False
        self._steps = None
        self._is_ahead = None
        self._pairs = []
        self._trained_pairs = None

    def build(self, weights):
        """Creates the state.

        Args:
            weights: List of `keras.Variable`s.
        """
        if not self.momentum:
            return
        self._steps, self._is_ahead = (
            keras.Variable(
                0.0, dtype=full_precision(), trainable=False, name=name
            )
            for name in ("averaged_steps", "is_ahead")
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
        states = [state for _, state in self._pairs]
        return [self._steps, self._is_ahead, *states]

    def leading(self, compiled):
        """Makes the context within which the model holds the leading weights.

        However it is left, the model holds the mean after it.

        Args:
            compiled: Callable that maps a function without arguments, which
                assigns variables, to a faster one.

        Returns:
            Callable without arguments; returns a context manager. The model may
            be built within the first one.
        """
        enter, leave = compiled(self._enter), compiled(self._leave)
        # Weights that are frozen later are so from the next compilation on.
        self._trained_pairs = None

        @contextlib.contextmanager
        def context():
            # To ask for the state makes the host wait for the device.
            if self._is_in_doubt and self._was_left_ahead():
                leave()
            was_built = bool(self._pairs)
            self._is_in_doubt = self.is_leading = True
            try:
                if was_built:
                    enter()
                yield
            except BaseException:
                if self._was_left_ahead():
                    leave()
                raise
            finally:
                self.is_leading = False
            if was_built or self._was_left_ahead():
                leave()
            self._is_in_doubt = False

        return context

    @contextlib.contextmanager
    def leading_in_scope(self):
        """The same where variables are in a scope that is void if this fails.

        What is assigned in a `keras.StatelessScope` is lost if it raises.
        """
        self._trained_pairs = None
        self.is_leading = True
        try:
            self._enter()
            yield
            self._leave()
        finally:
            self.is_leading = False

    def _was_left_ahead(self):
        if not self._pairs:
            return False
        try:
            return bool(ops.convert_to_numpy(self._is_ahead))
        except Exception:
            # A first step that raised may have made variables without values.
            return False

    def _enter(self):
        pairs = self._trained()
        means = [backend.snapshot(weight) for weight, _ in pairs]
        leads = [mean + state for mean, (_, state) in zip(means, pairs)]
        self._assign(leads, means, is_ahead=1.0)

    def _leave(self):
        pairs = self._trained()
        means = [backend.snapshot(state) for _, state in pairs]
        leads = [weight - mean for (weight, _), mean in zip(pairs, means)]
        self._assign(means, leads, is_ahead=0.0)

    def _assign(self, weights, states, is_ahead):
        """Assigns all or, if that is interrupted, all again."""

        def assign():
            for (weight, state), new_weight, new_state in zip(
                self._trained(), weights, states
            ):
                weight.assign(new_weight)
                state.assign(new_state)
            if self._pairs:
                self._is_ahead.assign(is_ahead)

        try:
            assign()
        except BaseException:
            assign()
            raise

    def follow(self):
        """Moves the mean after a step of the leading weights."""
        if not self.is_leading or not self._pairs:
            return
        momentum = ops.minimum(
            self.momentum, self._steps / (self._steps + GROWTH)
        )
        for weight, mean in self._trained():
            part = ops.cast(1 - momentum, weight.dtype)
            mean.assign_add(part * (weight - mean))
        self._steps.assign_add(1)
        # That of a model that was built within its first step is not, so far.
        self._is_ahead.assign(1.0)

    def _trained(self):
        if self._trained_pairs is None:
            self._trained_pairs = [
                pair for pair in self._pairs if pair[0].trainable
            ]
        return self._trained_pairs
