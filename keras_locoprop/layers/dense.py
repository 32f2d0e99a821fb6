"""Dense layers."""

import keras
from keras import ops

from keras_locoprop.layers.layer_kind import LayerKind
from keras_locoprop.layers.layer_kind import register_layer_kind


class DenseKind(LayerKind):
    """`keras.layers.Dense`: `z = x · kernel + bias`, on inputs of any rank."""

    layer_class = keras.layers.Dense

    def reason_to_decline(self, layer):
        if layer.quantization_mode is not None:
            return "the kernel is quantized"
        if layer.lora_enabled:
            return "the kernel is a sum with a LoRA product"
        return None

    def weights(self, layer):
        if layer.bias is None:
            return [layer.kernel]
        return [layer.kernel, layer.bias]

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


register_layer_kind(DenseKind())
