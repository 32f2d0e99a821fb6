"""The solvers of local problems, by name."""

from keras_locoprop.solvers.conjugate_gradient import ConjugateGradientSolver
from keras_locoprop.solvers.exact import ExactSolver
from keras_locoprop.solvers.gram import GramSolver
from keras_locoprop.solvers.iterative import IterativeSolver

SOLVERS = ("iterative", "gram", "exact", "conjugate_gradient")
# They need the squared loss, and it alone.
SQUARED_ONLY = ("gram", "exact")
# They have no slices.
WITHOUT_SLICES = ("gram", "conjugate_gradient")
# What they find is a minimum already; their learning rate multiplies it.
WITHOUT_RATE = ("exact", "conjugate_gradient")


def make_solver(name, iterative_arguments, curvature_arguments):
    """Makes a solver: an object with

    - `build(weights, matrices)`, which creates its state, in `variables`;
    - `solve(problems, learning_rate)`, which returns displacements.

    Args:
        name: One of `SOLVERS`.
        iterative_arguments: Dict of the arguments of `IterativeSolver`.
        curvature_arguments: Dict of those of `ExactSolver`, but for
            `otherwise`.
    """
    if name == "conjugate_gradient":
        return ConjugateGradientSolver(
            iterative_arguments["inner_steps"], curvature_arguments["damping"]
        )
    without_slices = dict(iterative_arguments)
    all_rows = without_slices.pop("inner_batch_size") == "all"
    if name == "gram":
        return GramSolver(only_if_cheaper=False, **without_slices)
    if name == "exact":
        return ExactSolver(
            otherwise=IterativeSolver(**iterative_arguments),
            **curvature_arguments,
        )
    if all_rows:
        return GramSolver(only_if_cheaper=True, **without_slices)
    return IterativeSolver(**iterative_arguments)
