"""The local problem of LocoProp-S in closed form."""

import keras
from keras import ops

from keras_locoprop.precision import full_precision
from keras_locoprop.solvers.kronecker_factors import KroneckerFactors

# How many examples the running moments remember, at each of their updates.
MEMORY = 2500
# Steps at the start of training with moments of their own each.
FIRST_STEPS = 5


class ExactSolver:
    r"""Minimizes local problems that are linear least squares, damped.

    With the squared loss and without activation the solution is

    `W_t - γ (C + λ I)⁻¹ xᵀ g / B`, `C = xᵀ x / B`,

    here with `C` averaged over batches, and, with output scaling, times
    `(S + λ' I)⁻¹` from the right: γ is then divided by the second moment of the
    gradients, unit by unit or as a matrix. Moments are averaged, and inverted,
    in the first batches and then every `period` ones. See `KroneckerFactors`.

    Args:
        otherwise: The solver of problems that are no plain matrix product or
            are too wide.
        inner_learning_rate: Float, the rate of its inner steps.
        output_scaling: `None`, `"unit"` or `"full"`.
        damping: `keras.Variable` or float: see `KroneckerFactors.refresh`.
        period: Integer, batches between updates.
        maximum_width: Integer: layers with more inputs go to `otherwise`; such
            with more units are scaled unit by unit at most.

    Reference:
        Amid, Anil, Warmuth, [LocoProp](https://arxiv.org/abs/2106.06199),
        Section 3.1, of which this is the minimum.
    """

    def __init__(
        self,
        otherwise,
        inner_learning_rate,
        output_scaling,
        damping,
        period,
        maximum_width,
    ):
        self.otherwise = otherwise
        self.inner_learning_rate = inner_learning_rate
        self.output_scaling = output_scaling
        self.damping = damping
        self.period = period
        self.maximum_width = maximum_width
        self._factors = {}
        self._decay = None
        self.curvature_size = None

    def build(self, weights, matrices):
        """Creates the solver's state.

        Args:
            weights: List of `keras.Variable`s.
            matrices: List of tuples `(weights, shape)`: a kernel, and a bias if
                any, and the kernel's shape as a matrix.
        """
        closed = set()
        for group, (inputs, units) in matrices:
            if inputs > self.maximum_width:
                continue
            scaling = self.output_scaling
            if scaling == "full" and units > self.maximum_width:
                scaling = "unit"
            self._factors[id(group[0])] = KroneckerFactors(
                group, (inputs, units), scaling
            )
            closed |= set(map(id, group))
        self.curvature_size = keras.Variable(
            0.0, dtype=full_precision(), trainable=False, name="curvature_size"
        )
        self.otherwise.build([w for w in weights if id(w) not in closed])

    @property
    def variables(self):
        if self.curvature_size is None:
            return []
        own = [self.curvature_size]
        for factors in self._factors.values():
            own += factors.variables
        return own + self.otherwise.variables

    @property
    def volatile_variables(self):
        """State whose values, not finite, would not show in displacements."""
        return self.otherwise.volatile_variables

    @property
    def weight_ids(self):
        """The ids of the weights whose problems are solved in closed form."""
        return {i for each in self._factors.values() for i in each.weight_ids}

    def serves(self, problem):
        """Whether a problem is solved in closed form."""
        return id(problem.weights[0]) in self._factors

    def is_due(self, step):
        """Whether this step is one that updates the moments."""
        return ops.logical_or(step < FIRST_STEPS, step % self.period == 0)

    def begin_update(self, examples):
        """Sets what remains of the moments beside those of so many examples."""
        examples = ops.cast(examples, self.curvature_size.dtype)
        self._decay = ops.clip(ops.exp(-examples / MEMORY), 0.5, 0.97)

    def average(self, kernel, calls):
        """Averages in the moments of a layer; see `KroneckerFactors`."""
        if id(kernel) in self._factors:
            self._factors[id(kernel)].average(calls, self._decay)

    def refresh(self):
        """Inverts the moments anew."""
        factors = self._factors.values()
        if not factors:
            return
        dtype = self.curvature_size.dtype
        sizes = [ops.prod(ops.stack(each.sizes())) for each in factors]
        total = ops.sum(ops.stack([ops.cast(size, dtype) for size in sizes]))
        with_moments = [
            ops.cast(each.moment_weight > 0, dtype) for each in factors
        ]
        count = ops.maximum(ops.sum(ops.stack(with_moments)), 1.0)
        size = total / count
        self.curvature_size.assign(size)
        for each in factors:
            each.refresh(self.damping, ops.maximum(size, 1e-30))

    def solve(self, problems, learning_rate):
        """Moves each problem's weights to its damped minimum.

        Args:
            problems: List of `LocalProblem`.
            learning_rate: Scalar tensor, what the displacement is multiplied
                by, as is the rate of the inner steps of other problems.

        Returns:
            List of displacements, aligned with the problems' weights: each
            weight before minus after. The weights are left as they were.
        """
        others = [p for p in problems if not self.serves(p)]
        rate = self.inner_learning_rate * learning_rate
        of_others = iter(self.otherwise.solve(others, rate) if others else ())
        displacements = []
        for problem in problems:
            if not self.serves(problem):
                displacements += [next(of_others) for _ in problem.weights]
                continue
            factors = self._factors[id(problem.weights[0])]
            solution = factors.solve(problem.start_gradients(learning_rate))
            displacements += [
                ops.cast(part, weight.dtype)
                for part, weight in zip(solution, problem.weights)
            ]
        return displacements
