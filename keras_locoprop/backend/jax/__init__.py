"""JAX: a step is one function of arrays, without side effects."""
