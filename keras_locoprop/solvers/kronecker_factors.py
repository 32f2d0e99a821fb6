"""The two factors of a layer's curvature."""

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop.precision import full_precision


class KroneckerFactors:
    r"""Second moments of a layer's inputs and of its outputs' gradients.

    The layer computes `z = x W` (with a bias, `x` has a last entry of one). Its
    curvature is taken for the Kronecker product of

    - the Gram matrix of its inputs, `C = E[xᵀ x]`, averaged over batches, and
    - `S`, made of `E[ĝᵀ ĝ]`, the gradients at its outputs: the whole matrix
      (`"full"`), its diagonal (`"unit"`), or one number.

    One of the two is a mean over rows, the other one a sum over those of an
    example: that is `S`, but without output scaling `C`.

    Args:
        weights: List of `keras.Variable`s: the kernel, and the bias if any.
        shape: Tuple `(inputs, units)`: that of the kernel as a matrix.
        output_scaling: `"full"`, `"unit"` or `None`.

    Reference:
        Martens, Grosse, [Optimizing Neural Networks with Kronecker-factored
        Approximate Curvature](https://arxiv.org/abs/1503.05671), Section 3.
    """

    def __init__(self, weights, shape, output_scaling):
        kernel = weights[0]
        self._shape = inputs, units = shape
        self._weight_shapes = [tuple(weight.shape) for weight in weights]
        self.weight_ids = set(map(id, weights))
        self.has_bias = len(weights) > 1
        self._output_scaling = output_scaling
        inputs += self.has_bias
        of_outputs = {"full": (units, units), "unit": (units,), None: ()}
        self.inputs_moment, self.inputs_inverse = (
            _zeros((inputs, inputs), kernel, name)
            for name in ("inputs_moment", "inputs_inverse")
        )
        self.outputs_moment, self.outputs_inverse = (
            _zeros(of_outputs[output_scaling], kernel, name)
            for name in ("outputs_moment", "outputs_inverse")
        )
        # What the running moments have to be divided by, as they started from
        # zero.
        self.moment_weight = _zeros((), kernel, "moment_weight")

    @property
    def variables(self):
        return [
            self.moment_weight,
            self.inputs_moment,
            self.inputs_inverse,
            self.outputs_moment,
            self.outputs_inverse,
        ]

    def average(self, calls, decay):
        """Takes the moments of a batch into the running ones.

        A batch in which no row counts says nothing, and leaves them alone.

        Args:
            calls: List of tuples `(inputs, gradients, counts, examples)`, one
                for each call of the layer: the inputs of shape
                `(rows, inputs)`, the gradients `ĝ` of shape `(rows, units)`,
                counts of shape `(rows, 1)`, one for rows that count, else zero,
                and the number of examples that the rows are of.
            decay: Scalar tensor: what remains of the running moments.
        """
        *tensors, examples = zip(*calls)
        inputs, gradients, counts = (
            ops.concatenate(parts, axis=0) for parts in tensors
        )
        dtype = self.inputs_moment.dtype
        inputs, gradients = ops.cast(inputs, dtype), ops.cast(gradients, dtype)
        if self.has_bias:
            ones = ops.ones_like(inputs[:, :1])
            inputs = ops.concatenate([inputs, ones], axis=1)
        counts = ops.cast(counts, dtype)
        inputs, gradients = inputs * counts, gradients * counts
        rows = ops.maximum(ops.sum(counts), 1.0)
        # A call on no rows is of no examples.
        examples = ops.max(ops.stack([ops.cast(e, dtype) for e in examples]))
        examples = ops.maximum(examples, 1.0)
        # The curvature sums the rows of an example. The local problem, in which
        # there is no other factor, has that sum in `C`.
        per_input, per_output = rows, examples
        if self._output_scaling is None:
            per_input, per_output = examples, rows
        gram = ops.matmul(ops.transpose(inputs), inputs) / per_input
        if self._output_scaling == "full":
            moment = ops.matmul(ops.transpose(gradients), gradients)
        else:
            moment = ops.sum(ops.square(gradients), axis=0)
        if self._output_scaling is None:
            moment = ops.mean(moment)
        moment = moment / per_output
        decay = ops.convert_to_tensor(decay, dtype)
        decay = ops.where(ops.sum(counts) > 0, decay, 1.0)
        for average, new in (
            (self.inputs_moment, gram),
            (self.outputs_moment, moment),
            (self.moment_weight, 1.0),
        ):
            average.assign(decay * average + (1 - decay) * new)

    def moments(self):
        """Those of inputs and of outputs: means over batches."""
        weight = ops.maximum(self.moment_weight, 1e-30)
        return self.inputs_moment / weight, self.outputs_moment / weight

    def sizes(self):
        """The mean diagonal entry of either moment; 0 before the first one."""
        inputs, outputs = self.moments()
        if self._output_scaling == "full":
            outputs = ops.diagonal(outputs)
        return ops.mean(ops.diagonal(inputs)), ops.mean(outputs)

    def refresh(self, damping, curvature_size):
        r"""Inverts the damped moments.

        `(C + π √λ I)⁻¹` and `(S + √λ / π I)⁻¹`, `λ = damping · curvature_size`,
        with `π² = mean diag C / mean diag S` that divides λ between the two.
        Without output scaling `(C + √damping · mean diag C · I)⁻¹`: the same
        for a layer of mean curvature. A layer whose inputs have all been zero,
        or that has no moments yet, stays where it is: its inverse is zero.

        Args:
            damping: Scalar tensor.
            curvature_size: Scalar tensor: the mean over layers of the mean
                diagonal of their curvature.
        """
        damping, curvature_size = (
            ops.convert_to_tensor(number, self.inputs_moment.dtype)
            for number in (damping, curvature_size)
        )
        inputs_moment, outputs_moment = self.moments()
        of_inputs, of_outputs = self.sizes()
        # A layer that is nearly dead is not to move all the more.
        smallest = 1e-6 * curvature_size / ops.maximum(of_inputs, 1e-30)
        of_outputs = ops.maximum(of_outputs, smallest)
        split = ops.sqrt(of_inputs / ops.maximum(of_outputs, 1e-30))
        root = ops.sqrt(damping * curvature_size)
        if self._output_scaling is None:
            of_inputs_damping = ops.sqrt(damping) * of_inputs
            self.outputs_inverse.assign(ops.ones(()))
        else:
            of_inputs_damping = root * split
            of_outputs_damping = root / ops.maximum(split, 1e-30)
            damped = of_outputs_damping + 1e-30
            self.outputs_inverse.assign(
                _inverse(outputs_moment, damped)
                if self._output_scaling == "full"
                else 1.0 / (outputs_moment + damped)
            )
        # Below this Cholesky's rounding could make a matrix indefinite.
        of_inputs_damping = ops.maximum(of_inputs_damping, 1e-4 * of_inputs)
        inverse = _inverse(inputs_moment, of_inputs_damping + 1e-30)
        self.inputs_inverse.assign(ops.where(of_inputs > 0, inverse, 0.0))

    def solve(self, gradients):
        """Multiplies gradients by the inverses.

        Args:
            gradients: List of tensors: of the kernel, and of the bias if any.

        Returns:
            List of tensors, likewise.
        """
        matrix = ops.reshape(gradients[0], self._shape)
        if self.has_bias:
            bias = ops.reshape(gradients[1], (1, -1))
            matrix = ops.concatenate([matrix, bias], axis=0)
        matrix = ops.matmul(self.inputs_inverse, matrix)
        if self._output_scaling == "full":
            matrix = ops.matmul(matrix, self.outputs_inverse)
        else:
            matrix = matrix * self.outputs_inverse
        parts = [matrix[:-1], matrix[-1]] if self.has_bias else [matrix]
        return [
            ops.reshape(part, shape)
            for part, shape in zip(parts, self._weight_shapes)
        ]


def _inverse(matrix, damping):
    identity = ops.eye(matrix.shape[0], dtype=matrix.dtype)
    factor = backend.cholesky(matrix + damping * identity)
    root = ops.solve_triangular(factor, identity, lower=True)
    return ops.matmul(ops.transpose(root), root)


def _zeros(shape, like, name):
    return keras.Variable(
        ops.zeros(shape, dtype=full_precision(like.dtype)),
        trainable=False,
        name=f"{like.path.replace('/', '_')}_{name}",
    )
