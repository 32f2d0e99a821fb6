"""JAX: single operations."""

import jax
from jax import numpy as jnp


def snapshot(variable):
    return jnp.asarray(variable.value)


def version(variable):
    return None


def cholesky(matrix):
    return jnp.linalg.cholesky(matrix)


def widest_float():
    return "float64" if jax.config.jax_enable_x64 else "float32"
