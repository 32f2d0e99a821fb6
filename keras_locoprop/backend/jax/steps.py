"""JAX: the frame of a step.

Keras hands the values of all variables to the step, and takes them back. In
between they are in a scope, where they are read and assigned as elsewhere.
"""

import jax
from jax import numpy as jnp

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
    return function


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


def compiled(function):
    return function


def replicas():
    return 1
