from keras_locoprop.layers import convolution as convolution
from keras_locoprop.layers import dense as dense
from keras_locoprop.layers import einsum_dense as einsum_dense
from keras_locoprop.layers import time_distributed as time_distributed
from keras_locoprop.layers.layer_kind import LayerKind
from keras_locoprop.layers.layer_kind import layer_kind_of
from keras_locoprop.layers.layer_kind import register_layer_kind
from keras_locoprop.layers.layer_kind import registered_layer_kinds

__all__ = [
    "LayerKind",
    "layer_kind_of",
    "register_layer_kind",
    "registered_layer_kinds",
]
