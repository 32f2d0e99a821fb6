"""Has calls of layers go through functions of one's own."""

import contextlib
import threading


class _Hooks(threading.local):
    def __init__(self):
        self.by_layer = {}


_hooks = _Hooks()
_users = {}
_own_calls = {}
_installation_lock = threading.Lock()


@contextlib.contextmanager
def hooked(hooks):
    """Has each call of some layers, in this thread, go through a function.

    While the context is open, each layer's `call` is shadowed by a wrapper on
    the instance. Keras has resolved masks, autocasting and `training` by then,
    and nothing is tracked or serialized. The wrapper of a layer stays for as
    long as any thread has a hook on it. Of several contexts around a call the
    innermost one counts.

    Args:
        hooks: List of tuples `(layer, hook)`. A hook is given the layer's own
            `call`, then its arguments, and returns what the layer is to return.
    """
    outer = _hooks.by_layer
    for layer, _ in hooks:
        _install(layer)
    _hooks.by_layer = outer | {id(layer): hook for layer, hook in hooks}
    try:
        yield
    finally:
        _hooks.by_layer = outer
        for layer, _ in hooks:
            _remove(layer)


def _install(layer):
    with _installation_lock:
        users = _users.get(id(layer), 0)
        if users == 0:
            _own_calls[id(layer)] = vars(layer).get("call")
            vars(layer)["call"] = _wrapped(layer, layer.call)
        _users[id(layer)] = users + 1


def _remove(layer):
    with _installation_lock:
        users = _users.pop(id(layer)) - 1
        if users == 0:
            own_call = _own_calls.pop(id(layer))
            if own_call is None:
                del vars(layer)["call"]
            else:
                vars(layer)["call"] = own_call
        else:
            _users[id(layer)] = users


def _wrapped(layer, call):
    def wrapped_call(*args, **kwargs):
        hook = _hooks.by_layer.get(id(layer))
        if hook is None:
            return call(*args, **kwargs)
        return hook(call, *args, **kwargs)

    return wrapped_call
