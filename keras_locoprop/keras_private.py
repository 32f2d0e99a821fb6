"""Every attribute of Keras that the package leans on and Keras does not export.

A test calls each of them by name, so that a Keras release that moves one is
noticed there first.
"""

import keras
from keras.src.backend import in_stateless_scope
from keras.src.backend.common.masking import get_keras_mask
from keras.src.backend.common.masking import set_keras_mask
from keras.src.models.functional import Functional
from keras.src.models.model import functional_init_arguments

__all__ = [
    "Functional",
    "all_sublayers",
    "averages_of_weights",
    "call_model",
    "compute_loss",
    "copy_weight_decay_exclusions",
    "direct_sublayers",
    "functional_init_arguments",
    "graph_outputs",
    "in_stateless_scope",
    "loss_arguments",
    "loss_tracker",
    "mask_of",
    "nodes",
    "optimized_variables",
    "plain_optimizer_class",
    "rmsprop_slots",
    "set_mask",
    "stored_value",
    "track_variable",
    "variable_index",
]


def direct_sublayers(layer):
    """The layers that `layer` holds itself, in order."""
    return layer._flatten_layers(include_self=False, recursive=False)


def all_sublayers(layer):
    """Every layer that `layer` holds, itself or through another one."""
    return layer._flatten_layers(include_self=False)


def averages_of_weights(optimizer):
    """Those of `use_ema`, by the ids of the weights."""
    averages = optimizer._model_variables_moving_average
    weights = optimized_variables(optimizer)
    return {
        id(weight): average
        for weight, average in zip(weights, averages, strict=True)
        if average is not None
    }


def call_model(model, inputs, training):
    """Calls the model, with `training` if its `call` takes it."""
    if model._call_has_training_arg:
        return model(inputs, training=training)
    return model(inputs)


def compute_loss(model, **arguments):
    """The training loss, whichever form of `compute_loss` a subclass wrote."""
    return model._compute_loss(**arguments)


def copy_weight_decay_exclusions(source, target):
    """Hands on what `exclude_from_weight_decay` was told: no config has it."""
    for name in (
        "_exclude_from_weight_decay",
        "_exclude_from_weight_decay_pattern",
    ):
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))


def graph_outputs(model):
    """The symbolic outputs of a Functional or Sequential model, in order."""
    graph = _graph(model)
    return [] if graph is None else list(graph.outputs)


def loss_arguments(loss):
    """What a loss hands on to its function: not all of it is in a config."""
    return loss._fn_kwargs


def loss_tracker(model):
    """The metric behind `loss` in the progress bar."""
    return model._loss_tracker


def mask_of(tensor):
    """The mask that Keras attached to a tensor, if any."""
    return get_keras_mask(tensor)


def nodes(model):
    """The calls that a Functional or Sequential model is made of, in order."""
    graph = _graph(model)
    by_depth = {} if graph is None else graph._nodes_by_depth
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
    ]


def optimized_variables(optimizer):
    """The variables that an optimizer was built for, in order."""
    return optimizer._trainable_variables


def plain_optimizer_class(optimizer):
    """The class that Keras derived its optimizer for PyTorch from."""
    return next(
        each
        for each in type(optimizer).__mro__
        if issubclass(each, keras.optimizers.Optimizer)
        and not hasattr(each, "_parallel_update_step")
    )


def rmsprop_slots(optimizer, variable):
    """The mean square and the momentum that RMSprop keeps of a variable."""
    index = variable_index(optimizer, variable)
    return optimizer._velocities[index], optimizer._momentums[index]


def set_mask(tensor, mask):
    """Attaches a mask to a tensor, for Keras."""
    set_keras_mask(tensor, mask)


def stored_value(variable):
    """The value that a variable has outside of stateless scopes."""
    return variable._value


def track_variable(optimizer, variable):
    """Makes a variable part of an optimizer's state, as `add_variable` does."""
    optimizer._track_variable(variable)


def variable_index(optimizer, variable):
    """The position of a variable among those an optimizer was built for."""
    return optimizer._get_variable_index(variable)


def _graph(model):
    """The Functional that a model is, or is made of; of others `None`."""
    if isinstance(model, keras.Sequential):
        model = model._functional
    return model if isinstance(model, Functional) else None
