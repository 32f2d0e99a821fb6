"""What stands behind a layer in a model whose `call` is opaque."""

import functools
import weakref
from typing import NamedTuple

import keras

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.layers import layer_kind_of
from keras_locoprop.losses import is_activation_layer
from keras_locoprop.symbolic_graph import first_calls
from keras_locoprop.symbolic_graph import symbolic_calls
from keras_locoprop.watched_calls import watching

_OBSERVED = weakref.WeakKeyDictionary()
# Model: what is not built by calling it.
_NOT_CALLED = weakref.WeakKeyDictionary()


class ObservedGraph(NamedTuple):
    """What one call of a model showed.

    Attributes:
        followers: Dict that maps the id of a layer to the one layer, without
            layers in it, that took its first output.
        output_layers: List of the ids of the layers whose outputs the model
            returned, in order; `None` for outputs that come otherwise.
    """

    followers: dict
    output_layers: list


def observed_graph(model):
    """The `ObservedGraph` of a model; an empty one if it was not observed."""
    return _OBSERVED.get(model) or ObservedGraph({}, [])


def is_built(model):
    """Whether all layers of a model are built that a call of it builds."""
    return not parts_to_build(model)


def parts_to_build(model):
    """What of a model, itself and its layers, has yet to be built by a call."""
    # A model without a `call`, all of whose work is in its `train_step`, is
    # never built as a whole.
    has_call = type(model).call is not keras.Model.call
    parts = [model] if has_call else []
    not_called = _NOT_CALLED.get(model, ())
    return [
        part
        for part in parts + keras_private.all_sublayers(model)
        if not (part.built or part in not_called)
    ]


def get_to_know(model, x):
    """Has a model built, and observed where its layers do not tell enough.

    It is called for that, at its first batch, and what such a call changes in
    it (moving statistics, counters, seeds of its own) is as it was; but where
    the model is built by an eager call, not what that call creates.

    Args:
        model: A `keras.Model`.
        x: Inputs of it.
    """
    if not is_built(model):
        # What belongs to training alone, as an auxiliary head, is not built by
        # the first of the two.
        for training in (False, True):
            if not is_built(model):
                _call_aside(model, x, functools.partial(_call, training))
        _NOT_CALLED[model] = weakref.WeakSet(
            part
            for part in (model, *keras_private.all_sublayers(model))
            if not part.built
        )
    if model not in _OBSERVED and _is_opaque(model):
        _OBSERVED[model] = _call_aside(model, x, _observe)


def forget(model):
    """Has a model looked at anew, which may have changed."""
    for known in (_NOT_CALLED, _OBSERVED):
        known.pop(model, None)


def _call(training, model, x):
    return keras_private.call_model(model, x, training)


def _call_aside(model, x, function):
    return backend.call_aside(
        functools.partial(function, model),
        x,
        model.non_trainable_variables + model.metrics_variables,
    )


def _is_opaque(model):
    known = first_calls(symbolic_calls(model))
    return any(
        layer_kind_of(layer) is not None and id(layer) not in known
        for layer in keras_private.all_sublayers(model)
    )


def _observe(model, x):
    """Calls a model once, and tells which layer follows which.

    Tensors are known by their identity: what is done to them between two layers
    makes another one of them.
    """
    layers = keras_private.all_sublayers(model)
    # Variables of a layer are only cast where its inputs are.
    uncast = [
        layer
        for layer in layers
        if is_activation_layer(layer) and not layer.weights
    ]
    with watching(layers, uncast) as calls:
        outputs = _call(True, model, x)
    simple = [
        call for call in calls if not keras_private.direct_sublayers(call.layer)
    ]
    followers = {}
    for call in simple:
        takers = [
            other.layer
            for other in simple
            if any(tensor is call.outputs[0] for tensor in other.inputs)
        ]
        if id(call.layer) not in followers:
            followers[id(call.layer)] = takers[0] if len(takers) == 1 else None
    return ObservedGraph(
        followers,
        [
            next((id(c.layer) for c in simple if c.outputs[0] is leaf), None)
            for leaf in keras.tree.flatten(outputs)
        ],
    )
