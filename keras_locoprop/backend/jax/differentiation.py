"""JAX: gradients.

A forward pass is traced once into operations on arrays. They are what is
differentiated, and they tell which inputs the loss depends on.
"""

import jax
from jax import numpy as jnp
from jax.extend import core

from keras_locoprop.backend.jax.scopes import ArrayFunction
from keras_locoprop.backend.jax.scopes import Scope
from keras_locoprop.backend.jax.scopes import probe

__all__ = [
    "differentiate",
    "gradient",
    "probe",
    "pulled_back",
    "vector_jacobian_product",
]


def differentiate(forward, weights):
    arrays_of, operations, sources = _traced(forward, weights)

    def loss(sources):
        arrays = core.jaxpr_as_fun(operations)(*sources)
        return arrays[0], arrays

    gradients, arrays = jax.grad(loss, has_aux=True)(sources)
    gradients = _where_needed(gradients, operations, 1)
    _, _, kept = arrays_of.result(arrays)
    return kept, gradients[len(weights) :], gradients[: len(weights)]


def pulled_back(forward, cotangents):
    arrays_of, operations, sources = _traced(forward, [])

    def all_arrays(sources):
        return core.jaxpr_as_fun(operations)(*sources)

    arrays, pull = jax.vjp(all_arrays, sources)
    outputs, _, kept = arrays_of.result(arrays)
    count = len(outputs)
    given = [
        jnp.asarray(cotangent, output.dtype)
        for cotangent, output in zip(cotangents(kept), outputs)
    ]
    others = [_no_cotangent(array) for array in arrays[count:]]
    [gradients] = pull([*given, *others])
    return kept, _where_needed(gradients, operations, count)


def gradient(function, variable):
    return jax.grad(function)(variable.value)


def vector_jacobian_product(function, variables, vector):
    def outputs(values):
        with Scope(variables, values):
            return function()

    values = [variable.value for variable in variables]
    output, pull = jax.vjp(outputs, values)
    [gradients] = pull(jnp.asarray(vector, output.dtype))
    return gradients


def _traced(forward, weights):
    """Traces a forward pass.

    Returns:
        Tuple `(arrays_of, operations, sources)`: the `ArrayFunction`, its
        operations, and what they are to be applied to: the weights' values, and
        the zeros of the probes.
    """
    arrays_of = ArrayFunction(forward, weights)
    values = [weight.value for weight in weights]
    jax.eval_shape(arrays_of, values)
    zeros = [jnp.zeros(each.shape, each.dtype) for each in arrays_of.probes]
    operations = jax.make_jaxpr(arrays_of)(values, zeros)
    return arrays_of, operations, values + zeros


def _where_needed(gradients, operations, count):
    """Puts `None` where the first so many outputs do not need an input.

    To JAX, derivatives that are zero everywhere are as any others.
    """
    needed = set(_differentiable(operations.jaxpr.outvars[:count]))
    for operation in reversed(operations.jaxpr.eqns):
        if operation.primitive.name == "stop_gradient":
            continue
        if not needed.isdisjoint(operation.outvars):
            needed.update(_differentiable(operation.invars))
    return [
        gradient if variable in needed else None
        for gradient, variable in zip(gradients, operations.jaxpr.invars)
    ]


def _differentiable(variables):
    return [
        variable
        for variable in variables
        if not isinstance(variable, core.Literal)
        and jnp.issubdtype(variable.aval.dtype, jnp.inexact)
    ]


def _no_cotangent(array):
    if jnp.issubdtype(array.dtype, jnp.inexact):
        return jnp.zeros_like(array)
    return jnp.zeros(array.shape, jax.dtypes.float0)
