from keras_locoprop.solvers.iterative import IterativeSolver
from keras_locoprop.solvers.fallback import FallbackSolver

__all__ = ["FallbackSolver", "IterativeSolver"]
