"""The paper's solver on a Gram matrix in place of the rows."""

from keras import activations
from keras import ops

from keras_locoprop.solvers.iterative import IterativeSolver


class GramSolver(IterativeSolver):
    r"""Minimizes squared local problems without touching the rows again.

    Without activation the gradient of the local loss is linear in the weights,

    `∇(W) = ∇(W_t) + C (W - W_t)`, `C = xᵀ x / B`,

    so that after one Gram matrix no inner step depends on the batch size. The
    steps are those of `IterativeSolver` on all rows, to rounding.

    Args:
        only_if_cheaper: Boolean: whether a problem whose batch has fewer rows
            than the Gram matrix is worth works on its rows.
        **arguments: Those of `IterativeSolver`, but for `inner_batch_size`.

    Reference:
        Amid, Anil, Warmuth, [LocoProp](https://arxiv.org/abs/2106.06199),
        Section 3.1.
    """

    def __init__(self, only_if_cheaper, **arguments):
        super().__init__(inner_batch_size="all", **arguments)
        self._only_if_cheaper = only_if_cheaper

    def _gradient_source(self, problem, starts):
        form = _linear_form(problem)
        by_rows = super()._gradient_source(problem, starts)
        if form is None:
            return by_rows
        inputs, shape = form
        is_cheaper = self._is_cheaper(inputs, shape)
        ones = ops.ones_like(inputs[:, :1])
        inputs = ops.concatenate([inputs, ones], axis=1)
        examples = ops.cast(problem.examples, inputs.dtype)
        size = inputs.shape[1]
        gram = _either(
            is_cheaper,
            lambda: ops.matmul(ops.transpose(inputs), inputs) / examples,
            lambda: ops.zeros((size, size), inputs.dtype),
        )
        start_gradients = problem.start_gradients()
        starts = [starts[id(weight)] for weight in problem.weights]

        def by_gram(step):
            moved = [
                ops.cast(weight - start, gram.dtype)
                for weight, start in zip(problem.weights, starts)
            ]
            kernel = ops.matmul(gram[:, :-1], ops.reshape(moved[0], shape))
            if len(moved) > 1:
                bias = ops.reshape(moved[1], (1, -1))
                kernel = kernel + gram[:, -1:] * bias
            changes = [kernel[:-1], kernel[-1]]
            return [
                gradient + ops.reshape(change, weight.shape)
                for gradient, change, weight in zip(
                    start_gradients, changes, problem.weights
                )
            ]

        def source(step):
            if step == 0:
                return start_gradients
            return _either(
                is_cheaper, lambda: by_gram(step), lambda: by_rows(step)
            )

        return source

    def _is_cheaper(self, inputs, shape):
        """Compares multiplications: `B i² + T i² u` and `2 T B i u`."""
        if not self._only_if_cheaper:
            return True
        rows = ops.shape(inputs)[0]
        # Counted in floating point: the product may be beyond an integer.
        rows = (
            float(rows) if isinstance(rows, int) else ops.cast(rows, "float32")
        )
        width, units = shape
        by_gram = rows * width**2 + float(self.inner_steps * width**2 * units)
        return by_gram < 2.0 * self.inner_steps * rows * width * units


def _either(predicate, if_true, if_false):
    if isinstance(predicate, bool):
        return if_true() if predicate else if_false()
    return ops.cond(predicate, if_true, if_false)


def _linear_form(problem):
    """The rows and the shape of the matrix of a problem linear in one.

    Regularizers are not linear, and all rows have to count.
    """
    [call, *more_calls] = problem.calls
    shape = call.kind.matrix_shape(call.layer)
    if (
        more_calls
        or shape is None
        or call.loss.activation is not activations.linear
        or call.counts is not None
        or len(call.kind.weights(call.layer)) != len(problem.weights)
        or any(weight.regularizer is not None for weight in problem.weights)
    ):
        return None
    return call.kind.input_rows(call.layer, call.inputs), shape
