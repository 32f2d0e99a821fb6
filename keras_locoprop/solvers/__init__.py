from keras_locoprop.solvers.choice import SOLVERS
from keras_locoprop.solvers.choice import SQUARED_ONLY
from keras_locoprop.solvers.choice import WITHOUT_RATE
from keras_locoprop.solvers.choice import WITHOUT_SLICES
from keras_locoprop.solvers.choice import make_solver
from keras_locoprop.solvers.fallback import FallbackSolver
from keras_locoprop.solvers.keras_optimizer import at_displaced_weights

__all__ = [
    "WITHOUT_SLICES",
    "SOLVERS",
    "SQUARED_ONLY",
    "WITHOUT_RATE",
    "FallbackSolver",
    "at_displaced_weights",
    "make_solver",
]
