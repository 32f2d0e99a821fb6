from keras_locoprop.losses import activation_layers as activation_layers
from keras_locoprop.losses import exponential as exponential
from keras_locoprop.losses import piecewise_linear as piecewise_linear
from keras_locoprop.losses import saturating as saturating
from keras_locoprop.losses.activation_layers import function_of
from keras_locoprop.losses.matching_loss import MatchingLoss
from keras_locoprop.losses.registry import is_activation_layer
from keras_locoprop.losses.registry import is_non_monotone
from keras_locoprop.losses.registry import matching_loss_of
from keras_locoprop.losses.registry import named_alike
from keras_locoprop.losses.registry import register_matching_loss
from keras_locoprop.losses.registry import registered_matching_losses

__all__ = [
    "MatchingLoss",
    "function_of",
    "is_activation_layer",
    "is_non_monotone",
    "matching_loss_of",
    "named_alike",
    "register_matching_loss",
    "registered_matching_losses",
]
