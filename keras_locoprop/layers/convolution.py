"""Convolutions of every kind; an output position is a row.

The weights' gradients are those of the convolution itself, so that no patch of
the input is ever copied out.
"""

import math

import keras
from keras import ops

from keras_locoprop.layers.layer_kind import LayerKind
from keras_locoprop.layers.layer_kind import register_layer_kind


class PatchConvolutionKind(LayerKind):
    """Convolutions over images: a matrix product with patches of the input."""

    def matrix_shape(self, layer):
        if layer.groups != 1 or layer.data_format != "channels_last":
            return None
        *field, channels, units = layer.kernel.shape
        return math.prod(field) * channels, units

    def input_rows(self, layer, inputs):
        patches = ops.image.extract_patches(
            inputs,
            layer.kernel_size,
            strides=layer.strides,
            dilation_rate=layer.dilation_rate,
            padding=layer.padding,
            data_format=layer.data_format,
        )
        return ops.reshape(patches, (-1, self.matrix_shape(layer)[0]))


class DepthwiseConvolutionKind(LayerKind):
    """Convolutions that look at each channel by itself."""

    def fans(self, layer):
        *field, _, multiplier = layer.kernel.shape
        return math.prod(field), math.prod(field) * multiplier


class SeparableConvolutionKind(LayerKind):
    """A depthwise convolution, and one over channels, without a break.

    `z` is linear in each of the two kernels.
    """

    def fans(self, layer):
        return layer.pointwise_kernel.shape[-2:]


for kind, layer_classes in (
    (
        LayerKind,
        (
            keras.layers.Conv1D,
            keras.layers.Conv3D,
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
        ),
    ),
    (PatchConvolutionKind, (keras.layers.Conv2D,)),
    (
        DepthwiseConvolutionKind,
        (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    ),
    (
        SeparableConvolutionKind,
        (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
    ),
):
    for layer_class in layer_classes:
        register_layer_kind(kind(layer_class))
