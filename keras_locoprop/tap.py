"""Records what goes into chosen layers and what comes out before activation."""

import contextlib
import threading
from typing import Any
from typing import NamedTuple

import keras

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.layers import layer_kind_of


class Record(NamedTuple):
    """One call of one layer during a forward pass.

    Attributes:
        layer: The `keras.Layer` that was called.
        inputs: Tensor, its first argument, of shape `(batch, ..., features)`.
        preactivation: Tensor `z`, of shape `(batch, ..., units)`: what the
            layer computed before its activation function.
        is_masked: Boolean: whether Keras attached a mask to the inputs.
        activation: Callable or `None`: the layer's activation.
        outputs: Tensor: what the layer returned.
    """

    layer: keras.Layer
    inputs: Any
    preactivation: Any
    is_masked: bool
    activation: Any
    outputs: Any


class _Sink(threading.local):
    records = None
    missed = None
    trace = None


_sink = _Sink()
_installed = {}
_shadowed = {}
_installation_lock = threading.Lock()


@contextlib.contextmanager
def recording(layers, missed=None):
    """Records every call of `layers` within the context, in order of calls.

    While the context is open, each layer's `call` is shadowed by a wrapper on
    the instance, which takes the activation out, runs the layer's own `call`,
    records its result, and applies the activation. Keras has resolved masks,
    autocasting and `training` by then, and nothing is tracked or serialized.
    The wrapper of a layer stays for as long as any thread records it; records
    go to the thread that opened the context. Calls within a loop, a condition
    or a compiled function of the model's own are left out: nothing of them can
    be kept.

    Args:
        layers: Iterable of layers that have a `LayerKind`.
        missed: List to which the layers of such calls are added. Defaults to
            `None`.

    Yields:
        The list of `Record`s, filled as the layers are called.
    """
    records, outer = [], (_sink.records, _sink.missed, _sink.trace)
    layers = list(layers)
    for layer in layers:
        _install(layer)
    _sink.records, _sink.trace = records, backend.current_trace()
    _sink.missed = [] if missed is None else missed
    try:
        yield records
    finally:
        _sink.records, _sink.missed, _sink.trace = outer
        for layer in layers:
            _remove(layer)


def _install(layer):
    with _installation_lock:
        users = _installed.get(id(layer), 0)
        if users == 0:
            _shadowed[id(layer)] = vars(layer).get("call")
            vars(layer)["call"] = _tapped(layer, layer.call)
        _installed[id(layer)] = users + 1


def _remove(layer):
    with _installation_lock:
        users = _installed.pop(id(layer)) - 1
        if users == 0:
            own_call = _shadowed.pop(id(layer))
            if own_call is None:
                del vars(layer)["call"]
            else:
                vars(layer)["call"] = own_call
        else:
            _installed[id(layer)] = users


def _tapped(layer, call):
    kind = layer_kind_of(layer)

    def tapped_call(*args, **kwargs):
        if _sink.records is None:
            return call(*args, **kwargs)
        if backend.current_trace() != _sink.trace:
            _sink.missed.append(layer)
            return call(*args, **kwargs)
        preactivation = backend.probe(
            kind.forward(layer, call, *args, **kwargs)
        )
        inputs = args[0] if args else kwargs["inputs"]
        is_masked = keras_private.mask_of(inputs) is not None
        activation = kind.core(layer).activation
        outputs = (
            preactivation if activation is None else activation(preactivation)
        )
        _sink.records.append(
            Record(layer, inputs, preactivation, is_masked, activation, outputs)
        )
        return outputs

    return tapped_call
