"""JAX: the frame of a step.

Keras hands the values of all variables to the step, and takes them back. In
between they are in a scope, where they are read and assigned as elsewhere.
"""

import contextlib
import functools

import jax
import keras
from jax import numpy as jnp
from jax.extend import core

from keras_locoprop import keras_private
from keras_locoprop.backend.jax.scopes import Scope


def run_train_step(step, model, state, data):
    groups = _groups(model)
    with Scope(sum(groups, []), sum(map(list, state), [])) as scope:
        logs = step(model, data)
    return logs, tuple(
        [scope.get_current_value(variable) for variable in group]
        for group in groups
    )


def train_function(model, function, averaged_weights):
    # Steps are in a scope, and take themselves from the leading weights.
    del averaged_weights

    @functools.wraps(function)
    def with_state_kept(state, iterator):
        state = _without_aliases(state)
        try:
            return function(state, iterator)
        except BaseException:
            # Keras has taken the values out of the variables. Within several
            # steps per execution they may have been donated.
            for variables, values in zip(_groups(model), state):
                if not any(value.is_deleted() for value in values):
                    _assign(variables, values)
            raise

    return with_state_kept


def _without_aliases(state):
    """The same, but no array twice, as where an average stands for a weight.

    Each is donated.
    """
    seen = set()

    def own(array):
        if id(array) in seen:
            return jnp.copy(array)
        seen.add(id(array))
        return array

    return tuple([own(array) for array in group] for group in state)


def step_function(function):
    @functools.wraps(function)
    def checked(*args, **kwargs):
        if _is_traced() and not keras_private.in_stateless_scope():
            raise ValueError(
                "`train_step` must call `keras_locoprop.minimize` within a "
                "`keras.StatelessScope` on JAX, where it assigns no variables "
                "by itself. Received: a call in a compiled function, without a "
                "scope."
            )
        return function(*args, **kwargs)

    return checked


def _groups(model):
    """The variables whose values Keras hands to a step, in its order."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def builds_models_first():
    return True


def cond(predicate, if_true, if_false):
    if not isinstance(predicate, jax.core.Tracer):
        (if_true if predicate else if_false)()
        return
    variables = _assigned_by(if_true, if_false)
    _assign(
        variables,
        jax.lax.cond(
            predicate,
            lambda: _values_after(if_true, variables),
            lambda: _values_after(if_false, variables),
        ),
    )


def repeat(function, times, period):
    if not _is_traced():
        # A loop would be compiled anew in each step.
        for index in range(times):
            function(index, index)
        return
    function(0, 0)
    period = period()
    rounds, rest = divmod(times - 1, period)

    def take_round(number):
        for position in range(1, period + 1):
            function(number * period + position, position)

    if rounds > 1:
        variables = _assigned_by(lambda: take_round(0))

        def body(number, values):
            with Scope(variables, values):
                return _values_after(lambda: take_round(number), variables)

        _assign(
            variables,
            jax.lax.fori_loop(0, rounds, body, _values(variables)),
        )
    elif rounds:
        take_round(0)
    for position in range(1, rest + 1):
        function(rounds * period + position, position)


def _is_traced():
    # A function that is being compiled makes tracers even of constants.
    return isinstance(jnp.zeros(()), jax.core.Tracer)


def _assigned_by(*functions):
    """List of the variables that any of the functions assigns."""
    assigned = {}

    def find(function):
        with Scope() as scope:
            function()
        assigned.update((id(v), v) for v in scope.assigned)

    for function in functions:
        jax.eval_shape(lambda function=function: find(function))
    return list(assigned.values())


def _values_after(function, variables):
    with Scope():
        function()
        return _values(variables)


def _values(variables):
    dtypes = [jax.dtypes.canonicalize_dtype(v.dtype) for v in variables]
    return [jnp.asarray(v.value, d) for v, d in zip(variables, dtypes)]


def _assign(variables, values):
    for variable, value in zip(variables, values):
        variable.assign(value)


def current_trace():
    return core.get_opaque_trace_state()


def compiled(function):
    return function


def call_aside(function, inputs, variables):
    del variables
    with Scope():
        return function(inputs)


def variable_scope(model):
    del model
    return contextlib.nullcontext()


def check_distribution(model):
    del model
    distribution = keras.distribution.distribution()
    if distribution is not None and not isinstance(
        distribution, keras.distribution.DataParallel
    ):
        raise ValueError(
            "`LocoProp` trains on one device, or with "
            "`keras.distribution.DataParallel`. Received: "
            f"distribution={distribution}"
        )
