"""Which tensors go into layers, and which come out."""

import contextlib
import functools
from typing import NamedTuple

import keras

from keras_locoprop.call_hooks import hooked


class WatchedCall(NamedTuple):
    """One call of a layer.

    Attributes:
        layer: The `keras.Layer` that was called.
        inputs: List of all arguments, flat.
        outputs: List of what it returned, likewise.
    """

    layer: keras.Layer
    inputs: list
    outputs: list


@contextlib.contextmanager
def watching(layers, uncast=()):
    """Watches every call of `layers` within the context.

    Args:
        layers: List of `keras.Layer`s.
        uncast: List of those of them whose inputs are to be what they are
            before Keras casts them to the precision of the layer, which makes
            other tensors of them. Defaults to none.

    Yields:
        The list of `WatchedCall`s, filled as calls end.
    """
    calls = []
    uncast = [layer for layer in uncast if layer.autocast]
    ids = set(map(id, uncast))
    for layer in uncast:
        layer.autocast = False
    try:
        with hooked(
            [
                (
                    layer,
                    functools.partial(_watch, layer, calls, id(layer) in ids),
                )
                for layer in layers
            ]
        ):
            yield calls
    finally:
        for layer in uncast:
            layer.autocast = True


def _watch(layer, calls, has_to_cast, call, *args, **kwargs):
    inputs = keras.tree.flatten((args, kwargs))
    if has_to_cast:
        args, kwargs = keras.tree.map_structure(
            lambda value: layer.dtype_policy.convert_input(
                value, True, layer.input_dtype
            ),
            (args, kwargs),
        )
    outputs = call(*args, **kwargs)
    flat = keras.tree.flatten(outputs) or [None]
    calls.append(WatchedCall(layer, inputs, flat))
    return outputs
