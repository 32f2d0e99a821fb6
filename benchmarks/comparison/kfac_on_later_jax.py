"""kfac-jax 0.0.8, which was written for jax 0.6, on a later one.

A GPU machine may have a later JAX only. What changed there is what a primitive
answers when asked how to bind it; kfac-jax itself is as it comes.
"""

import jax
from jax._src import source_info_util
from kfac_jax._src import tag_graph_matcher

SUPPORTED = (0, 6)


def evaluate_equation(equation, values):
    """As `tag_graph_matcher.eval_jaxpr_eqn`, for the later answer."""
    parameters = equation.primitive.get_bind_params(equation.params)
    with source_info_util.user_context(equation.source_info.traceback):
        outputs = equation.primitive.bind(*values, **parameters)
    return outputs if isinstance(outputs, list) else [outputs]


def adapt():
    """Puts that in place if this JAX needs it."""
    if jax.__version_info__[:2] > SUPPORTED:
        tag_graph_matcher.eval_jaxpr_eqn = evaluate_equation
