"""JAX: products with Jacobians and Hessians, in forward mode."""

import jax
from jax import numpy as jnp
from jax.extend import core

from keras_locoprop.backend.jax.scopes import ArrayFunction
from keras_locoprop.backend.jax.scopes import Scope


def jacobian_products(forward, weights, directions):
    arrays_of = ArrayFunction(forward, weights)
    values = [weight.value for weight in weights]
    operations = jax.make_jaxpr(arrays_of)(values)
    outputs, kept = arrays_of.result(core.jaxpr_as_fun(operations)(*values))
    products = []
    for direction in directions:
        # Products with zeros are not left out by the compiler, but a forward
        # pass that is written twice is.
        moving = [i for i, part in enumerate(direction) if part is not None]

        def along(parts, moving=moving):
            moved = list(values)
            for i, part in zip(moving, parts):
                moved[i] = part
            return core.jaxpr_as_fun(operations)(*moved)[: len(outputs)]

        points = [values[i] for i in moving]
        tangents = [jnp.asarray(direction[i], values[i].dtype) for i in moving]
        products.append(_derivative(along, points, tangents))
    return outputs, kept, products


def _derivative(function, points, tangents):
    try:
        return jax.jvp(function, (points,), (tangents,))[1]
    except TypeError:
        # A gradient of one's own (`keras.ops.custom_gradient`) has no forward
        # mode. The product with its transpose has a transpose again.
        outputs, pull = jax.vjp(function, points)
        _, pull_back = jax.vjp(pull, [jnp.zeros_like(o) for o in outputs])
        [products] = pull_back((tangents,))
        return products


def hessian_products(function, points, directions):
    def value(points):
        with Scope():
            return function(points)

    gradient, product = jax.linearize(jax.grad(value), list(points))
    return gradient, [product(list(direction)) for direction in directions]


def function_vector_product(function, point, vector):
    _, pull = jax.vjp(function, point)
    [product] = pull(vector)
    return product
