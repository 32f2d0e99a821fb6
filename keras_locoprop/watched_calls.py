"""Which tensors go into layers, and which come out."""

import contextlib
from typing import NamedTuple

import keras


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
def watching(layers):
    """Watches every call of `layers` within the context.

    As in `tap.recording`, the `call` of each is shadowed on the instance.

    Args:
        layers: Iterable of `keras.Layer`s.

    Yields:
        The list of `WatchedCall`s, filled as calls end.
    """
    calls = []
    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_shadowed(layer, calls))
        yield calls


@contextlib.contextmanager
def _shadowed(layer, calls):
    own_call, call = vars(layer).get("call"), layer.call

    def watched_call(*args, **kwargs):
        outputs = call(*args, **kwargs)
        calls.append(
            WatchedCall(
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
