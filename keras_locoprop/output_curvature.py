"""The curvature of the training loss in the outputs of the network."""

from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.loss_link import link_of
from keras_locoprop.losses import function_of
from keras_locoprop.losses import named_alike


class OutputPoint(NamedTuple):
    """Where the network ends and the loss begins, for one of its outputs.

    The output itself, in whose values Keras's losses are convex. Cross-entropy
    of probabilities is convex in their logits as well, and its curvature there
    is known without the labels.

    Attributes:
        value: Tensor.
        activation: Callable that maps it to the output.
        is_softmax: Boolean: whether the loss is the cross-entropy of the
            softmax of `value`.
        mask: Tensor or `None`: Keras's mask of the output, which losses read.
        is_sum: Boolean: whether the loss sums over examples, of which it is
            else a mean.
    """

    value: Any
    activation: Any
    is_softmax: bool
    mask: Any = None
    is_sum: bool = False


def output_point(output, loss, records, activation_calls=()):
    """Chooses the `OutputPoint` of an output.

    Args:
        output: Tensor, as the model returned it.
        loss: The loss of this output, as `compile` takes it, or `None`.
        records: List of `tap.Record` of the forward pass.
        activation_calls: List of `watched_calls.WatchedCall`: those of the
            activation layers. Defaults to none.
    """
    link, from_logits = link_of(loss, len(output.shape))
    is_softmax = link is keras.activations.softmax
    mask = keras_private.mask_of(output)
    linear = keras.activations.linear
    if link is None or from_logits:
        return OutputPoint(output, linear, is_softmax, mask)
    for record in records:
        if record.outputs is output and named_alike(record.activation) is link:
            return OutputPoint(record.preactivation, link, is_softmax, mask)
    for layer, (inputs, *others), outputs in activation_calls:
        # Another argument is a mask, which changes what comes out.
        is_masked = any(other is not None for other in others)
        if (
            outputs[0] is output
            and named_alike(function_of(layer)) is link
            and not is_masked
        ):
            return OutputPoint(inputs, link, is_softmax, mask)
    return OutputPoint(output, linear, False, mask)


def gauss_newton_products(loss, points, products, averaged_over):
    """Multiplies tangents of the outputs by the loss's Hessian.

    Where the loss is piecewise linear in an output and has none, by the sum of
    the outer products of its gradients.

    Args:
        loss: Callable that maps a list of tensors in place of `points` to the
            loss.
        points: List of tensors.
        products: List of lists of tensors, aligned with `points`.
        averaged_over: List of the numbers of examples that the loss is a mean
            over, aligned with `points`: scalar tensors or integers, one where
            it is a sum.

    Returns:
        List of lists of tensors, likewise.
    """
    gradient, curved = backend.hessian_products(loss, points, products)
    averaged_over = [ops.cast(n, points[0].dtype) for n in averaged_over]
    are_curved = [
        ops.any(ops.stack([ops.any(entry != 0) for entry in of_point]))
        for of_point in zip(*curved)
    ]
    return [
        [
            ops.where(is_curved, h, n * g * _row_sums(g * t))
            for is_curved, n, g, t, h in zip(
                are_curved, averaged_over, gradient, tangent, of_tangent
            )
        ]
        for tangent, of_tangent in zip(products, curved)
    ]


def _row_sums(tensor):
    axes = tuple(range(1, tensor.ndim))
    return ops.sum(tensor, axes, keepdims=True) if axes else tensor


def sampled_gradients(loss, output_points, examples, seed):
    r"""Draws gradients whose second moments are the loss's own curvature.

    For each example, `E[ĝ ĝᵀ] = H`, its loss's Hessian in the output: for a
    loss that takes outputs one by one `ĝ = √h ε`, for the cross-entropy of a
    softmax `ĝ = √c (√p ε - p √pᵀε)`, with signs `ε`. Elsewhere the gradients
    themselves stand in. Whether a loss takes outputs one by one is seen by its
    Hessian's product with a vector.

    Args:
        loss: As in `gauss_newton_products`.
        output_points: List of `OutputPoint`.
        examples: The number of examples, a scalar tensor or an integer.
        seed: `keras.random.SeedGenerator`.

    Returns:
        List of tensors, aligned with the points.
    """
    points = [point.value for point in output_points]
    ones = [ops.ones_like(point) for point in points]
    probes = [keras.random.normal(ops.shape(p), seed=seed) for p in points]
    probes = [ops.cast(v, p.dtype) for v, p in zip(probes, points)]
    gradient, products = backend.hessian_products(loss, points, [ones, probes])
    examples = ops.cast(examples, points[0].dtype)
    sampled = []
    for point, g, h, probe, product in zip(
        output_points, gradient, products[0], probes, products[1]
    ):
        signs = ops.sign(probe)
        if point.is_softmax:
            of_softmax = _sample_of_softmax(point.value, probe, product, signs)
            sampled.append(ops.sqrt(examples) * of_softmax)
            continue
        error = ops.sum(ops.square(product - h * probe))
        size = ops.sum(ops.square(product))
        one_by_one = ops.logical_and(error <= 1e-6 * size, size > 0)
        root = ops.sqrt(ops.maximum(examples * h, 0.0))
        factor = ops.sqrt(examples) if point.is_sum else examples
        sampled.append(ops.where(one_by_one, root * signs, factor * g))
    return sampled


def _sample_of_softmax(logits, probe, product, signs):
    """`H = c (diag p - p pᵀ)`: `c` is what the loss weighs an example by."""
    p = ops.softmax(logits)
    mean = ops.sum(p * probe, axis=-1, keepdims=True)
    variance = ops.sum(p * ops.square(probe - mean), axis=-1, keepdims=True)
    quadratic = ops.sum(probe * product, axis=-1, keepdims=True)
    weight = ops.where(
        variance > 1e-6, quadratic / ops.maximum(variance, 1e-6), 0.0
    )
    root = ops.sqrt(p)
    sample = root * signs - p * ops.sum(root * signs, axis=-1, keepdims=True)
    return ops.sqrt(ops.maximum(weight, 0.0)) * sample
