"""Dense layers."""

import keras
from keras import ops

from keras_locoprop.layers.layer_kind import LayerKind
from keras_locoprop.layers.layer_kind import register_layer_kind


class DenseKind(LayerKind):
    """`keras.layers.Dense`: `z = x · kernel + bias`, on inputs of any rank.

    The two matrix products are written out: they are where the time goes, and
    nothing has to be traced for them.
    """

    promotes_weights = True

    def matrix_shape(self, layer):
        return tuple(layer.kernel.shape)

    def input_rows(self, layer, inputs):
        return _as_rows(inputs)

    def preactivation(self, layer, inputs):
        preactivation = ops.matmul(inputs, layer.kernel)
        if layer.bias is not None:
            preactivation = ops.add(preactivation, layer.bias)
        return preactivation

    def weight_gradients(self, layer, inputs, residual):
        inputs = _as_rows(inputs)
        residual = _as_rows(residual)
        gradients = [ops.matmul(ops.transpose(inputs), residual)]
        if layer.bias is not None:
            gradients.append(ops.sum(residual, axis=0))
        return gradients


def _as_rows(tensor):
    return ops.reshape(tensor, (-1, tensor.shape[-1]))


register_layer_kind(DenseKind(keras.layers.Dense))
