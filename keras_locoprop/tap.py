"""Records what goes into chosen layers and what comes out before activation."""

import contextlib
from typing import Any
from typing import NamedTuple

import keras

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.call_hooks import hooked
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


@contextlib.contextmanager
def recording(layers, missed=None):
    """Records every call of `layers` within the context, in order of calls.

    The call of a layer goes through `call_hooks.hooked`: its activation is
    taken out, its own `call` is run, the result is recorded, and the activation
    applied. Records go to the thread that opened the context. Calls within a
    loop, a condition or a compiled function of the model's own are left out:
    nothing of them can be kept.

    Args:
        layers: Iterable of layers that have a `LayerKind`.
        missed: List to which the layers of such calls are added. Defaults to
            `None`.

    Yields:
        The list of `Record`s, filled as the layers are called.
    """
    records, trace = [], backend.current_trace()

    def hook_of(layer):
        def hook(call, *args, **kwargs):
            if backend.current_trace() == trace:
                records.append(_record(layer, call, *args, **kwargs))
                return records[-1].outputs
            if missed is not None:
                missed.append(layer)
            return call(*args, **kwargs)

        return hook

    with hooked([(layer, hook_of(layer)) for layer in layers]):
        yield records


def _record(layer, call, *args, **kwargs):
    kind = layer_kind_of(layer)
    preactivation = backend.probe(kind.forward(layer, call, *args, **kwargs))
    inputs = args[0] if args else kwargs["inputs"]
    # TensorFlow's sparse tensors have no slices.
    if not hasattr(inputs, "__getitem__"):
        raise ValueError(
            "`exclude` must name layers whose inputs are sparse. Received: "
            f"{layer.name!r} is called on {inputs} and is not excluded."
        )
    is_masked = keras_private.mask_of(inputs) is not None
    activation = kind.core(layer).activation
    outputs = preactivation if activation is None else activation(preactivation)
    return Record(layer, inputs, preactivation, is_masked, activation, outputs)
