"""The local problem of one layer: what solvers work on."""

from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop.layers import LayerKind
from keras_locoprop.losses import MatchingLoss
from keras_locoprop.precision import in_full_precision


class Call(NamedTuple):
    """What one call of a layer contributes to its problem.

    Attributes:
        layer: The `keras.Layer`.
        kind: Its `LayerKind`.
        loss: The `MatchingLoss`; that of the linear activation is the squared
            loss `½‖z - a‖²`.
        inputs: Tensor of shape `(batch, ..., features)`.
        activated: Tensor `f(z)` of shape `(batch, ..., units)`, with the `z` of
            the weights before the step.
        gradient: Tensor, of the shape of `activated`: the gradient at
            `z`, of the mean loss times its scale in half precision.
        counts: Boolean tensor that broadcasts against `gradient`: which rows
            count; or `None`: all.
    """

    layer: keras.Layer
    kind: LayerKind
    loss: MatchingLoss
    inputs: Any
    activated: Any
    gradient: Any
    counts: Any


class LocalProblem(NamedTuple):
    """A layer's own loss, as a function of its weights alone.

    That of several layers together, if they share weights.

    `1/B Σ_rows loss(x · W + b, a) + regularization_rate · R(W, b)`,
    `a = f(z) - target_rate · gradient`

    with `B` the number of examples: the loss of a layer with several rows per
    example is summed over the rows of an example and averaged over examples.
    Rows that are masked out or of zero sample weight are left out.

    Attributes:
        name: String, the layer's name, after those of the layers around it.
        calls: List of `Call`: one per call of the layer in the forward pass.
        examples: Scalar tensor `B`.
        target_rate: Scalar tensor: γ for `Call.gradient` as it is.
        regularization_rate: Scalar tensor: what the weights' regularizers are
            multiplied by, so that they keep their strength relative to `g`.
        loss_gradients: Dict of tensors by the ids of weights: the gradient of
            the mean loss times its scale in half precision, with regularizers;
            or `None`: not known.
    """

    name: str
    calls: list
    examples: Any
    target_rate: Any
    regularization_rate: Any
    loss_gradients: dict

    @property
    def weights(self):
        """The weights that the problem is solved for."""
        of_calls = {
            id(weight): weight
            for call in self.calls
            for weight in trainable_weights(call.kind, call.layer)
        }
        return list(of_calls.values())

    @property
    def fans(self):
        """Inputs of a unit and units of an input; see `LayerKind.fans`."""
        return self.calls[0].kind.fans(self.calls[0].layer)

    def start_gradients(self, factor=1.0):
        """The gradient of the local loss at the weights before the step.

        That of the training loss times γ, where that is known.

        Args:
            factor: Scalar tensor or float, what it is multiplied by, in the
                same pass over memory.

        Returns:
            List of tensors, one for each of `weights`.
        """
        if self.loss_gradients is None:
            gradients = self.gradients(
                lambda examples: (0, examples), at_start=True
            )
            return [ops.cast(factor, g.dtype) * g for g in gradients]
        gradients = []
        for weight in self.weights:
            gradient = in_full_precision(self.loss_gradients[id(weight)])
            factor, rate, examples = (
                ops.cast(number, gradient.dtype)
                for number in (factor, self.target_rate, self.examples)
            )
            gradients.append(factor * rate / examples * gradient)
        return gradients

    def gradients(self, example_slice, at_start=False):
        """Computes the gradient of the local loss at the present weights.

        Args:
            example_slice: Callable that maps the number of examples to
                `(start, size)`, those to use. Their gradient is scaled up to
                stand for all.
            at_start: Boolean. Whether the weights are still those of the
                forward pass, whose pre-activations then serve as they are.

        Returns:
            List of tensors, one for each of `weights`.
        """
        gradients = {}
        for call in self.calls:
            of_call = self._gradients_of_call(call, example_slice, at_start)
            for weight, gradient in zip(call.kind.weights(call.layer), of_call):
                gradients[id(weight)] = (
                    gradients[id(weight)] + gradient
                    if id(weight) in gradients
                    else gradient
                )
        return [
            gradients[id(weight)] + self._regularizer_gradient(weight)
            if weight.regularizer is not None
            else gradients[id(weight)]
            for weight in self.weights
        ]

    def _gradients_of_call(self, call, example_slice, at_start):
        total = ops.shape(call.inputs)[0]
        start, size = example_slice(total)
        inputs, activated, gradient, counts = (
            None if tensor is None else tensor[start : start + size]
            for tensor in (
                call.inputs,
                call.activated,
                call.gradient,
                call.counts,
            )
        )
        dtype = gradient.dtype
        # Counted in floating point: the product may be beyond an integer.
        scale = ops.cast(total, dtype) / (
            ops.cast(size, dtype) * ops.cast(self.examples, dtype)
        )
        target_rate = ops.cast(self.target_rate, dtype)
        if at_start:
            # The residual f(z) - a is the shift of the target itself.
            residual = scale * target_rate * gradient
        else:
            target = activated - target_rate * gradient
            preactivation = call.kind.preactivation(call.layer, inputs)
            residual = call.loss.gradient(preactivation, target)
            residual = scale * residual
            if counts is not None:
                residual = residual * ops.cast(counts, dtype)
        return call.kind.weight_gradients(call.layer, inputs, residual)

    def hessian_product(self, direction):
        """Multiplies a direction by the Hessian of the local loss.

        At the present weights, on all rows.

        Args:
            direction: List of tensors, one for each of `weights`.

        Returns:
            List of tensors, likewise.
        """
        of_weight = {id(w): d for w, d in zip(self.weights, direction)}
        products = {
            id(weight): self._regularizer_product(weight, of_weight[id(weight)])
            for weight in self.weights
        }
        for call in self.calls:
            kind, layer = call.kind, call.layer
            weights = trainable_weights(kind, layer)
            [preactivation], _, [[moved]] = backend.jacobian_products(
                lambda kind=kind, layer=layer, call=call: (
                    [kind.preactivation(layer, call.inputs)],
                    None,
                ),
                weights,
                [[of_weight[id(weight)] for weight in weights]],
            )
            moved = backend.function_vector_product(
                call.loss.activation, preactivation, moved
            )
            if call.counts is not None:
                moved = moved * ops.cast(call.counts, moved.dtype)
            moved = moved / ops.cast(self.examples, moved.dtype)
            of_call = kind.weight_gradients(layer, call.inputs, moved)
            for weight, product in zip(kind.weights(layer), of_call):
                if weight.trainable:
                    products[id(weight)] = products[id(weight)] + product
        return [products[id(weight)] for weight in self.weights]

    def _regularizer_product(self, weight, direction):
        if weight.regularizer is None:
            return ops.zeros_like(direction)
        _, [[product]] = backend.hessian_products(
            lambda values: weight.regularizer(values[0]),
            [in_full_precision(backend.snapshot(weight))],
            [[direction]],
        )
        return ops.cast(self.regularization_rate, product.dtype) * product

    def _regularizer_gradient(self, weight):
        gradient = backend.gradient(weight.regularizer, weight)
        gradient = in_full_precision(gradient)
        return ops.cast(self.regularization_rate, gradient.dtype) * gradient


def trainable_weights(kind, layer):
    """The weights of a layer that its local problem is solved for."""
    return [weight for weight in kind.weights(layer) if weight.trainable]


def mean_loss(problem):
    """The local loss at the layer's present weights, without regularizers.

    Args:
        problem: `LocalProblem`.

    Returns:
        Tuple `(loss, squared_distance)`, both summed over the rows of an
        example and averaged over examples: the local loss, up to a constant,
        and `‖f(z) - a‖²` at the weights of the forward pass. In double
        precision, where there is one: of one loss another that is nearly equal
        will be subtracted.
    """
    widest = backend.widest_float()
    loss = squared_distance = 0.0
    for call in problem.calls:
        rate = ops.cast(problem.target_rate, call.gradient.dtype)
        shift = rate * call.gradient
        preactivation = ops.cast(
            call.kind.preactivation(call.layer, call.inputs), widest
        )
        target = ops.cast(call.activated - shift, widest)
        if call.counts is not None:
            # Wherever its units are: a row of zeros is a constant in the loss.
            counts = ops.cast(call.counts, widest)
            preactivation, target = preactivation * counts, target * counts
        loss = loss + ops.sum(call.loss.value(preactivation, target))
        squared_distance = squared_distance + ops.sum(ops.square(shift))
    examples = ops.cast(problem.examples, widest)
    squared_distance = ops.cast(squared_distance, widest)
    return loss / examples, squared_distance / examples
