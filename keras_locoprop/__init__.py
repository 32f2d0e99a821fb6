"""LocoProp: local loss optimization for Keras models."""

from keras_locoprop.local_loss_logger import LocalLossLogger
from keras_locoprop.losses import register_matching_loss
from keras_locoprop.models import Model
from keras_locoprop.models import Sequential
from keras_locoprop.models import prepare
from keras_locoprop.optimizer import LocoProp
from keras_locoprop.plan import coverage
from keras_locoprop.train_step import minimize

__version__ = "0.1.0"

__all__ = [
    "LocalLossLogger",
    "LocoProp",
    "Model",
    "Sequential",
    "coverage",
    "minimize",
    "prepare",
    "register_matching_loss",
]
