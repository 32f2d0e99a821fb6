"""The paper's solver: a few steps of a first-order optimizer."""

import math

from keras import ops

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.solvers.example_slices import example_slice
from keras_locoprop.solvers.example_slices import slice_count
from keras_locoprop.solvers.keras_optimizer import copy_with_rate
from keras_locoprop.solvers.keras_optimizer import put_back
from keras_locoprop.solvers.keras_optimizer import without_constraints


class IterativeSolver:
    r"""Minimizes local problems by a first-order optimizer.

    Step `k = 0 … T-1` applies one step of the inner optimizer, at the rate
    `learning_rate · max(1 - k/T, inner_decay) · factor`, to the gradient of the
    local loss on that step's slice of the batch, plus `proximal · (W - W_t)`.
    The factor is 1, or, with `learning_rate_scaling="relative"`, Glorot's
    standard deviation of the layer's kernel, `sqrt(2 / (fan_in + fan_out))`.
    The problems do not see each other; the optimizer's slots persist from batch
    to batch.

    Args:
        inner_optimizer: A `keras.optimizers.Optimizer`, used as a template: the
            solver works with a copy.
        inner_steps: Integer `T`.
        inner_batch_size: Examples per inner step; see `example_slice`.
        inner_decay: Float.
        proximal: Float.
        learning_rate_scaling: `"relative"` or `"absolute"`.

    Reference:
        Amid, Anil, Warmuth, [LocoProp](https://arxiv.org/abs/2106.06199),
        Algorithm 1.
    """

    def __init__(
        self,
        inner_optimizer,
        inner_steps,
        inner_batch_size,
        inner_decay,
        proximal,
        learning_rate_scaling,
    ):
        self._rate = None
        self._rate_factors = {}
        self._optimizer, self._is_fused = copy_with_rate(
            inner_optimizer, lambda: self._rate, self._rate_factors.get
        )
        self.inner_steps = inner_steps
        self.inner_batch_size = inner_batch_size
        self.inner_decay = inner_decay
        self.proximal = proximal
        self.learning_rate_scaling = learning_rate_scaling

    def build(self, weights, matrices=()):
        """Creates the slots of the inner optimizer."""
        self._optimizer.build(weights)

    @property
    def variables(self):
        return self._optimizer.variables

    volatile_variables = variables

    def solve(self, problems, learning_rate):
        """Moves each problem's weights towards its minimum.

        Args:
            problems: List of `LocalProblem`.
            learning_rate: Scalar tensor, the rate of the first inner step.

        Returns:
            List of displacements, aligned with the problems' weights: each
            weight before minus after. The weights are left as they were.
        """
        weights = [w for problem in problems for w in problem.weights]
        starts = [backend.snapshot(weight) for weight in weights]
        for problem in problems:
            for weight in problem.weights:
                index = keras_private.variable_index(self._optimizer, weight)
                self._rate_factors[index] = self._rate_factor(problem)

        def apply(gradients, rate):
            self._rate = rate
            with without_constraints(weights):
                self._optimizer.apply(gradients, weights)
            # Where a step is compiled it is a tensor that only lives there.
            self._rate = None

        if not self._is_fused:
            apply = backend.compiled(apply)
        start_of = dict(zip(map(id, weights), starts))
        sources = [self._gradient_source(p, start_of) for p in problems]

        def inner_step(step, position):
            gradients = [g for source in sources for g in source(position)]
            if self.proximal and position > 0:
                gradients = [
                    gradient
                    + self.proximal * ops.cast(weight - start, gradient.dtype)
                    for gradient, weight, start in zip(
                        gradients, weights, starts
                    )
                ]
            apply(gradients, learning_rate * self._decay(step))

        backend.repeat(
            inner_step, self.inner_steps, lambda: self._period(problems)
        )
        return put_back(weights, starts)

    def _gradient_source(self, problem, starts):
        """A callable that maps an inner step to the problem's gradients.

        Args:
            problem: `LocalProblem`.
            starts: Dict of the weights' first values by their ids.
        """
        del starts

        def source(step):
            examples = example_slice(
                step, self.inner_batch_size, self.inner_steps
            )
            return problem.gradients(examples, at_start=step == 0)

        return source

    def _decay(self, step):
        decay = 1 - step / self.inner_steps
        if isinstance(step, int):
            return max(decay, self.inner_decay)
        return ops.maximum(decay, self.inner_decay)

    def _period(self, problems):
        """After how many inner steps all problems see the same examples."""
        counts = {
            ops.shape(call.inputs)[0]
            for problem in problems
            for call in problem.calls
        }
        return math.lcm(
            *(
                slice_count(count, self.inner_batch_size, self.inner_steps)
                for count in counts
            )
        )

    def _rate_factor(self, problem):
        if self.learning_rate_scaling == "absolute":
            return 1.0
        fan_in, fan_out = problem.fans
        return math.sqrt(2.0 / (fan_in + fan_out))
