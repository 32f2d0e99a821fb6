"""LocoProp: local loss optimization for Keras models."""

from keras_locoprop.losses import register_matching_loss
from keras_locoprop.models import Model
from keras_locoprop.models import Sequential
from keras_locoprop.models import prepare
from keras_locoprop.optimizer import LocoProp
from keras_locoprop.plan import coverage

__version__ = "0.1.0"

__all__ = [
    "LocoProp",
    "Model",
    "Sequential",
    "coverage",
    "prepare",
    "register_matching_loss",
]
