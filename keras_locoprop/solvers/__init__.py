from keras_locoprop.solvers.fallback import FallbackSolver
from keras_locoprop.solvers.iterative import IterativeSolver
from keras_locoprop.solvers.keras_optimizer import at_displaced_weights

__all__ = ["FallbackSolver", "IterativeSolver", "at_displaced_weights"]
