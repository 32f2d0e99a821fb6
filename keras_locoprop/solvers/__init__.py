from keras_locoprop.solvers.fallback import FallbackSolver
from keras_locoprop.solvers.iterative import IterativeSolver

__all__ = ["FallbackSolver", "IterativeSolver"]
