"""The local problem of one layer: what solvers work on."""

from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop.layers import LayerKind
from keras_locoprop.losses import MatchingLoss


class Call(NamedTuple):
    """What one call of the layer contributes to its problem.

    Attributes:
        inputs: Tensor of shape `(batch, ..., features)`.
        preactivation: Tensor `z` of shape `(batch, ..., units)`, computed with
            the weights before the step.
        target: Tensor `a`, of the shape of `preactivation`.
    """

    inputs: Any
    preactivation: Any
    target: Any


class LocalProblem(NamedTuple):
    """A layer's own loss, as a function of its weights alone.

    `1/B Σ_rows loss(x · W + b, a) + regularization_rate · R(W, b)`

    with `B` the number of examples: the loss of a layer with several rows per
    example is summed over the rows of an example and averaged over examples.

    Attributes:
        layer: The `keras.Layer`.
        kind: Its `LayerKind`.
        loss: The `MatchingLoss`; that of the linear activation is the squared
            loss `½‖z - a‖²`.
        calls: List of `Call`: one per call of the layer in the forward pass.
        examples: Scalar tensor `B`.
        regularization_rate: Scalar tensor: what the weights' regularizers are
            multiplied by, so that they keep their strength relative to `g`.
    """

    layer: keras.Layer
    kind: LayerKind
    loss: MatchingLoss
    calls: list
    examples: Any
    regularization_rate: Any

    @property
    def weights(self):
        """The weights that the problem is solved for."""
        return trainable_weights(self.kind, self.layer)

    def gradients(self, row_slice, at_start=False):
        """Computes the gradient of the local loss at the present weights.

        Args:
            row_slice: Callable that maps the number of rows to `(start, size)`,
                the rows to use. Their gradient is scaled up to stand for all.
            at_start: Boolean. Whether the weights are still those of the
                forward pass, whose pre-activations then serve as they are.

        Returns:
            List of tensors, one for each of `weights`.
        """
        gradients = None
        for call in self.calls:
            of_call = self._gradients_of_call(call, row_slice, at_start)
            if gradients is None:
                gradients = of_call
            else:
                gradients = [a + b for a, b in zip(gradients, of_call)]
        return [
            gradient + self._regularizer_gradient(weight)
            if weight.regularizer is not None
            else gradient
            for weight, gradient in zip(
                self.kind.weights(self.layer), gradients
            )
            if weight.trainable
        ]

    def _gradients_of_call(self, call, row_slice, at_start):
        total = ops.shape(call.inputs)[0]
        start, size = row_slice(total)
        inputs, preactivation, target = (
            backend.rows(tensor, start, size) for tensor in call
        )
        if not at_start:
            preactivation = self.kind.preactivation(self.layer, inputs)
        residual = self.loss.gradient(preactivation, target)
        dtype = residual.dtype
        scale = ops.cast(total, dtype) / ops.cast(size * self.examples, dtype)
        return self.kind.weight_gradients(self.layer, inputs, residual * scale)

    def _regularizer_gradient(self, weight):
        gradient = backend.gradient(weight.regularizer, weight)
        return ops.cast(self.regularization_rate, gradient.dtype) * gradient


def trainable_weights(kind, layer):
    """The weights of a layer that its local problem is solved for."""
    return [weight for weight in kind.weights(layer) if weight.trainable]
