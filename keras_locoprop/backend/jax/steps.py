"""JAX: the frame of a step.

Keras hands the values of all variables to the step, and takes them back. In
between they are in a scope, where they are read and assigned as elsewhere.
"""

import functools

import jax
from jax import numpy as jnp
from jax.extend import core

from keras_locoprop import keras_private
from keras_locoprop.backend.jax.scopes import Scope


def run_train_step(step, model, state, data):
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    with Scope(sum(groups, []), sum(map(list, state), [])) as scope:
        logs = step(model, data)
    return logs, tuple(
        [scope.get_current_value(variable) for variable in group]
        for group in groups
    )


def step_function(function):
    @functools.wraps(function)
    def checked(*args, **kwargs):
        # A compiled function makes tracers even of constants.
        is_compiled = isinstance(jnp.zeros(()), jax.core.Tracer)
        if is_compiled and not keras_private.in_stateless_scope():
            raise ValueError(
                "`train_step` must call `keras_locoprop.minimize` within a "
                "`keras.StatelessScope` on JAX, where it assigns no variables "
                "by itself. Received: a call in a compiled function, without a "
                "scope."
            )
        return function(*args, **kwargs)

    return checked


def cond(predicate, if_true, if_false):
    if not isinstance(predicate, jax.core.Tracer):
        (if_true if predicate else if_false)()
        return
    assigned = {}

    def find_assigned(branch):
        with Scope() as scope:
            branch()
        assigned.update((id(v), v) for v in scope.assigned)

    for branch in (if_true, if_false):
        jax.eval_shape(lambda branch=branch: find_assigned(branch))
    variables = list(assigned.values())

    def values_after(branch):
        with Scope():
            branch()
            return [jnp.asarray(v.value, v.dtype) for v in variables]

    values = jax.lax.cond(
        predicate,
        lambda: values_after(if_true),
        lambda: values_after(if_false),
    )
    for variable, value in zip(variables, values):
        variable.assign(value)


def current_trace():
    return core.get_opaque_trace_state()


def compiled(function):
    return function


def replicas():
    return 1
