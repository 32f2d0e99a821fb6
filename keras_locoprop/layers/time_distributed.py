"""A layer that is applied to every time step."""

import keras
from keras import ops

from keras_locoprop.layers.layer_kind import LayerKind
from keras_locoprop.layers.layer_kind import layer_kind_of
from keras_locoprop.layers.layer_kind import register_layer_kind


class TimeDistributedKind(LayerKind):
    """`keras.layers.TimeDistributed` around a layer that has a kind itself.

    Keras calls the layer in a loop over the time steps, where its calls could
    not be recorded. Here the time steps are more rows of one call.
    """

    def reason_to_decline(self, layer):
        kind = layer_kind_of(layer.layer)
        if kind is None:
            return f"{type(layer.layer).__name__} layers have no local problem"
        return kind.reason_to_decline(layer.layer)

    def core(self, layer):
        kind = layer_kind_of(layer.layer)
        return layer.layer if kind is None else kind.core(layer.layer)

    def fans(self, layer):
        return layer_kind_of(layer.layer).fans(layer.layer)

    def unit_axes(self, layer, preactivation):
        inner = preactivation[:, 0]
        kind = layer_kind_of(layer.layer)
        return tuple(1 + axis for axis in kind.unit_axes(layer.layer, inner))

    def forward(self, layer, call, *args, **kwargs):
        inputs = args[0] if args else kwargs["inputs"]
        return self.preactivation(layer, inputs)

    def preactivation(self, layer, inputs):
        kind = layer_kind_of(layer.layer)
        outputs = kind.preactivation(layer.layer, _fold(inputs))
        shape = ops.shape(inputs)[:2] + ops.shape(outputs)[1:]
        return ops.reshape(outputs, shape)

    def weight_gradients(self, layer, inputs, residual):
        kind = layer_kind_of(layer.layer)
        return kind.weight_gradients(
            layer.layer, _fold(inputs), _fold(residual)
        )


def _fold(tensor):
    return ops.reshape(tensor, (-1, *ops.shape(tensor)[2:]))


register_layer_kind(TimeDistributedKind(keras.layers.TimeDistributed))
