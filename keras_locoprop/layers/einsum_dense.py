"""Dense layers that are given by an equation, as attention's projections."""

import itertools
import math

import keras
from keras import ops

from keras_locoprop.layers.layer_kind import LayerKind
from keras_locoprop.layers.layer_kind import register_layer_kind


class EinsumDenseKind(LayerKind):
    """`keras.layers.EinsumDense`: `z = einsum(equation, x, kernel) + bias`."""

    def fans(self, layer):
        operands, outputs = layer.equation.split("->")
        inputs, axes = operands.split(",")
        sizes = dict(zip(axes, layer.kernel.shape))
        return (
            math.prod(sizes[axis] for axis in axes if axis not in outputs),
            math.prod(
                sizes[axis]
                for axis in axes
                if axis in outputs and axis not in inputs
            ),
        )

    def matrix_shape(self, layer):
        operands, outputs = layer.equation.split("->")
        inputs, axes = operands.split(",")
        contracted = "".join(axis for axis in axes if axis not in outputs)
        units = "".join(axis for axis in axes if axis in outputs)
        # One product with a matrix, without any transposition or sum over rows.
        is_plain = (
            axes == contracted + units
            and inputs.endswith(contracted)
            and outputs.endswith(units)
            and inputs.removesuffix(contracted) == outputs.removesuffix(units)
            and not set(units) & set(inputs)
        )
        has_other_bias = layer.bias is not None and _without_leading_ones(
            layer.bias.shape
        ) != _without_leading_ones(layer.kernel.shape[len(contracted) :])
        return self.fans(layer) if is_plain and not has_other_bias else None

    def input_rows(self, layer, inputs):
        return ops.reshape(inputs, (-1, self.matrix_shape(layer)[0]))

    def unit_axes(self, layer, preactivation):
        operands, outputs = layer.equation.split("->")
        kernel_axes = operands.split(",")[1]
        front, ellipsis, back = outputs.partition("...")
        hidden = preactivation.ndim - len(front + back) if ellipsis else 0
        return tuple(
            position if position < len(front) else position + hidden
            for position, axis in enumerate(front + back)
            if axis in kernel_axes
        )


def _without_leading_ones(shape):
    return tuple(itertools.dropwhile(lambda size: size == 1, shape))


register_layer_kind(EinsumDenseKind(keras.layers.EinsumDense))
