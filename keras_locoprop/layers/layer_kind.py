"""What the package needs to know of a kind of layer, and the kinds it knows."""

import contextlib
import math

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop import keras_private

_KINDS = {}


class LayerKind:
    """How a layer of one class becomes a local problem.

    A kind is stateless. As it stands it serves every layer that adds a bias to
    something that is linear in a kernel, and then applies an `activation`: it
    lets the layer's own `call` compute, and differentiates that.

    Args:
        layer_class: The exact `keras.Layer` class served. A subclass is not
            served: it may override `call`.
    """

    # Whether inputs of full precision may meet weights of half precision: the
    # `call` of most layers expects them to be of one type.
    promotes_weights = False

    def __init__(self, layer_class):
        self.layer_class = layer_class

    def reason_to_decline(self, layer):
        """Why this very layer has no local problem, or `None` if it has."""
        if getattr(layer, "quantization_mode", None) is not None:
            return "the kernel is quantized"
        if getattr(layer, "lora_enabled", False):
            return "the kernel is a sum with a LoRA product"
        half = layer.variable_dtype in ("float16", "bfloat16")
        if half and not self.promotes_weights:
            return "the weights are in half precision"
        return None

    def core(self, layer):
        """The layer that holds weights and activation: itself, or a wrapped."""
        return layer

    def weights(self, layer):
        """The list of `keras.Variable`s that `z` is computed from."""
        core = self.core(layer)
        held = keras_private.direct_sublayers(core)
        held = {id(weight) for child in held for weight in child.weights}
        return [weight for weight in core.weights if id(weight) not in held]

    def fans(self, layer):
        """How many inputs a unit has, and how many units an input has.

        Returns:
            Tuple `(fan_in, fan_out)`, here for a kernel of shape
            `(..., inputs, units)`, whose first axes span a receptive field; of
            `(..., units, inputs)`, as of transposed convolutions, the other way
            round. Glorot's deviation depends on their sum alone.
        """
        *field, inputs, units = self.weights(layer)[0].shape
        return math.prod(field) * inputs, math.prod(field) * units

    def unit_axes(self, layer, preactivation):
        """The axes of `z` that number units; the others number rows."""
        if getattr(layer, "data_format", None) == "channels_first":
            return (1,)
        return (preactivation.ndim - 1,)

    def matrix_shape(self, layer):
        """The shape of the matrix that the layer multiplies each row by.

        Returns:
            Tuple `(inputs, units)`, or `None` if it does not multiply by one:
            its local problem is then not solved in closed form.
        """
        return None

    def input_rows(self, layer, inputs):
        """The rows that `matrix_shape` is about, as `(rows, inputs)`."""
        raise NotImplementedError

    def output_rows(self, layer, outputs):
        """What the rows are mapped to, as `(rows, units)`."""
        return ops.reshape(outputs, (-1, self.matrix_shape(layer)[1]))

    def forward(self, layer, call, *args, **kwargs):
        """Computes `z` in the forward pass.

        Args:
            layer: The layer.
            call: The layer's own `call`.
            *args: Its arguments.
            **kwargs: Likewise.

        Returns:
            Tensor `z`, of shape `(batch, ..., units)`.
        """
        with without_activation(layer):
            return call(*args, **kwargs)

    def preactivation(self, layer, inputs):
        """Computes `z` from the layer's present weights.

        Args:
            layer: The layer.
            inputs: Tensor of shape `(batch, ..., features)`.

        Returns:
            Tensor of shape `(batch, ..., units)`.
        """
        return self.forward(layer, layer.call, inputs)

    def weight_gradients(self, layer, inputs, residual):
        """Computes `Σ_rows residual · ∂z/∂w` for each of `weights(layer)`.

        Args:
            layer: The layer.
            inputs: Tensor of shape `(batch, ..., features)`.
            residual: Tensor of the shape of `z`: the gradient of the local loss
                with respect to it.

        Returns:
            List of tensors, in the order and the shapes of `weights(layer)`.
        """
        return backend.vector_jacobian_product(
            lambda: self.preactivation(layer, inputs),
            self.weights(layer),
            residual,
        )


@contextlib.contextmanager
def without_activation(layer):
    """Within it, a layer's `call` returns its pre-activations.

    The activation is shadowed on the instance, which Keras neither tracks nor
    serializes.
    """
    activation = layer.activation
    vars(layer)["activation"] = keras.activations.linear
    try:
        yield
    finally:
        vars(layer)["activation"] = activation


def register_layer_kind(kind):
    """Makes a `LayerKind` known. Returns it."""
    _KINDS[kind.layer_class] = kind
    return kind


def layer_kind_of(layer):
    """The kind of a layer, or `None` where no kind serves its exact class."""
    return _KINDS.get(type(layer))


def registered_layer_kinds():
    """All registered kinds, in order of registration."""
    return list(_KINDS.values())
