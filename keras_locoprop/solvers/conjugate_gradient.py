"""Newton's step on the local problem, by conjugate gradients."""

from keras import ops


class ConjugateGradientSolver:
    r"""Minimizes the local quadratic model of local problems.

    The matching loss of a layer is convex in its weights, with the Hessian

    `H v = 1/B xᵀ (f'(z) (x v))`, damped to `H + λ I`.

    `inner_steps` steps of conjugate gradients minimize
    `∇ · v + ½ v · (H + λ I) v` from `v = 0`, on all rows. For the squared loss
    `f' = 1`; for an activation like softmax it is the Jacobian.

    Args:
        inner_steps: Integer `T`.
        damping: Float: λ relative to the curvature along the gradient.

    Reference:
        Nocedal, Wright, Numerical Optimization, Algorithm 7.1.
    """

    def __init__(self, inner_steps, damping):
        self.inner_steps = inner_steps
        self.damping = damping
        self.variables = []
        self.volatile_variables = []

    def build(self, weights, matrices=()):
        """Does nothing: there is no state."""

    def solve(self, problems, learning_rate):
        """Moves each problem's weights towards its minimum.

        Args:
            problems: List of `LocalProblem`.
            learning_rate: Scalar tensor, what the displacement is multiplied
                by.

        Returns:
            List of displacements, aligned with the problems' weights: each
            weight before minus after. The weights are left as they were.
        """
        return [
            ops.cast(ops.cast(learning_rate, part.dtype) * part, weight.dtype)
            for problem in problems
            for weight, part in zip(problem.weights, self._solve_one(problem))
        ]

    def _solve_one(self, problem):
        residual = problem.start_gradients()
        solution = [ops.zeros_like(part) for part in residual]
        direction = residual
        size = _dot(residual, residual)
        damping = None
        for _ in range(self.inner_steps):
            product = problem.hessian_product(direction)
            curvature = _dot(direction, product)
            if damping is None:
                damping = self.damping * _ratio(curvature, size)
            product = _add(product, damping, direction)
            step = _ratio(size, _dot(direction, product))
            solution = _add(solution, step, direction)
            residual = _add(residual, -step, product)
            size, before = _dot(residual, residual), size
            direction = _add(residual, _ratio(size, before), direction)
        return solution


def _dot(one, other):
    return sum(ops.sum(a * b) for a, b in zip(one, other))


def _add(tensors, factor, others):
    return [a + factor * b for a, b in zip(tensors, others)]


def _ratio(numerator, denominator):
    """Zero where there is nothing left to divide."""
    is_positive = denominator > 0
    return ops.where(
        is_positive, numerator / ops.where(is_positive, denominator, 1.0), 0.0
    )
