"""Every attribute of Keras that the package leans on and Keras does not export.

A test calls each of them by name, so that a Keras release that moves one is
noticed there first.
"""

from keras.src.models.functional import Functional
from keras.src.models.model import functional_init_arguments

__all__ = [
    "Functional",
    "all_sublayers",
    "call_model",
    "compute_loss",
    "direct_sublayers",
    "functional_init_arguments",
    "loss_tracker",
    "mask_of",
    "rmsprop_slots",
    "track_variable",
    "variable_index",
]


def direct_sublayers(layer):
    """The layers that `layer` holds itself, in order."""
    return layer._flatten_layers(include_self=False, recursive=False)


def all_sublayers(layer):
    """Every layer that `layer` holds, itself or through another one."""
    return layer._flatten_layers(include_self=False)


def call_model(model, inputs, training):
    """Calls the model, with `training` if its `call` takes it."""
    if model._call_has_training_arg:
        return model(inputs, training=training)
    return model(inputs)


def compute_loss(model, **arguments):
    """The training loss, whichever form of `compute_loss` a subclass wrote."""
    return model._compute_loss(**arguments)


def loss_tracker(model):
    """The metric behind `loss` in the progress bar."""
    return model._loss_tracker


def mask_of(tensor):
    """The mask that Keras attached to a tensor, if any."""
    return getattr(tensor, "_keras_mask", None)


def rmsprop_slots(optimizer, variable):
    """The mean square and the momentum that RMSprop keeps of a variable."""
    index = variable_index(optimizer, variable)
    return optimizer._velocities[index], optimizer._momentums[index]


def track_variable(optimizer, variable):
    """Makes a variable part of an optimizer's state, as `add_variable` does."""
    optimizer._track_variable(variable)


def variable_index(optimizer, variable):
    """The position of a variable among those an optimizer was built for."""
    return optimizer._get_variable_index(variable)
