"""JAX: code that reads and assigns variables, as functions of arrays."""

import contextlib
import threading

import jax
import keras

from keras_locoprop import keras_private


class Scope(keras.StatelessScope):
    """A stateless scope within whichever scope there is.

    Variables that it has no values for are looked up outside; what is assigned
    in it stays in it.

    Args:
        variables: List of `keras.Variable`s.
        values: List of arrays: the values of these within the scope.
    """

    def __init__(self, variables=(), values=()):
        super().__init__(
            list(zip(variables, values)),
            collect_losses=True,
            initialize_variables=False,
        )
        self._assigned = {}

    def get_current_value(self, variable):
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            value = self.original_scope.get_current_value(variable)
        # Keras computes the penalties of regularizers from this alone.
        return keras_private.stored_value(variable) if value is None else value

    def add_update(self, update):
        variable, _ = update
        self._assigned[id(variable)] = variable
        super().add_update(update)

    @property
    def assigned(self):
        """List of the `keras.Variable`s that were assigned in it."""
        return list(self._assigned.values())


class _Probes(threading.local):
    seen = None
    zeros = None


_probes = _Probes()


def probe(tensor):
    if _probes.seen is None:
        return tensor
    _probes.seen.append(jax.ShapeDtypeStruct(tensor.shape, tensor.dtype))
    if _probes.zeros is None:
        return tensor
    return tensor + _probes.zeros[len(_probes.seen) - 1]


@contextlib.contextmanager
def _probing(zeros):
    """Within it `probe` adds zeros, to be differentiated by, in turn."""
    outer = _probes.seen, _probes.zeros
    _probes.seen, _probes.zeros = [], zeros
    try:
        yield _probes.seen
    finally:
        _probes.seen, _probes.zeros = outer


class ArrayFunction:
    """A function without arguments, as one of its variables' values.

    It maps `(values, zeros)`, the zeros being what is added to its probes, to a
    flat list of arrays: those in what it returns, then the new values of all
    variables that it assigned. All else that it returns is kept aside.

    Args:
        function: Callable without arguments.
        variables: List of the `keras.Variable`s whose values it is a function
            of.

    Attributes:
        probes: List of the shapes that were probed in the last call.
    """

    def __init__(self, function, variables):
        self._function = function
        self._variables = variables
        self.probes = []

    def __call__(self, values, zeros=None):
        with Scope(self._variables, values) as scope, _probing(zeros) as probes:
            result = self._function()
        self.probes = probes
        self._assigned = scope.assigned
        new_values = [scope.get_current_value(v) for v in self._assigned]
        leaves, self._structure = jax.tree.flatten((result, new_values))
        self._leaves = [
            None if isinstance(leaf, jax.Array) else leaf for leaf in leaves
        ]
        return [leaf for leaf in leaves if isinstance(leaf, jax.Array)]

    def result(self, arrays):
        """What the function returned, of such arrays; assigns variables."""
        arrays = iter(arrays)
        leaves = [
            next(arrays) if leaf is None else leaf for leaf in self._leaves
        ]
        result, new_values = jax.tree.unflatten(self._structure, leaves)
        for variable, value in zip(self._assigned, new_values):
            variable.assign(value)
        return result
