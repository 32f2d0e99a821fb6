"""What stands behind a layer in a model whose `call` is opaque."""

import contextlib
import weakref
from typing import NamedTuple

import keras

from keras_locoprop import keras_private
from keras_locoprop.layers import layer_kind_of

_OBSERVED = weakref.WeakKeyDictionary()


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


class _Call(NamedTuple):
    layer: keras.Layer
    inputs: list
    outputs: list


def observed_graph(model):
    """The `ObservedGraph` of a model; an empty one if it was not observed."""
    return _OBSERVED.get(model) or ObservedGraph({}, [])


def needs_observation(model):
    """Whether a call of the model would tell what its layers do not."""
    return model not in _OBSERVED and any(
        layer_kind_of(layer) is not None and not _was_called_symbolically(layer)
        for layer in keras_private.all_sublayers(model)
    )


def observe(model, x):
    """Calls a model once, and remembers which layer follows which.

    Tensors are known by their identity: what is done to them between two layers
    makes another one of them.

    Args:
        model: A built `keras.Model`.
        x: Inputs of it.
    """
    calls = []
    layers = keras_private.all_sublayers(model)
    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_watching(layer, calls))
        outputs = keras_private.call_model(model, x, training=False)
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
    _OBSERVED[model] = ObservedGraph(
        followers,
        [
            next((id(c.layer) for c in simple if c.outputs[0] is leaf), None)
            for leaf in keras.tree.flatten(outputs)
        ],
    )


@contextlib.contextmanager
def _watching(layer, calls):
    """Within it, calls of the layer are added to `calls`.

    As in `tap.recording`, its `call` is shadowed on the instance.
    """
    own_call, call = vars(layer).get("call"), layer.call

    def watched_call(*args, **kwargs):
        outputs = call(*args, **kwargs)
        calls.append(
            _Call(
                layer,
                keras.tree.flatten((args, kwargs)),
                keras.tree.flatten(outputs) or [None],
            )
        )
        return outputs

    vars(layer)["call"] = watched_call
    try:
        yield
    finally:
        if own_call is None:
            del vars(layer)["call"]
        else:
            vars(layer)["call"] = own_call


def _was_called_symbolically(layer):
    try:
        return layer.output is not None
    except (AttributeError, ValueError):
        return False
