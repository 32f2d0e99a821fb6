"""What the package needs to know of a kind of layer, and the kinds it knows."""

import abc
import math

_KINDS = {}


class LayerKind(abc.ABC):
    """How a layer of one class becomes a local problem.

    A kind is stateless. The equations it implements are those of a layer that
    is linear in its weights: `z = x · W + b`.

    Attributes:
        layer_class: The exact `keras.Layer` class served. A subclass is not
            served: it may override `call`.
    """

    layer_class = None

    def reason_to_decline(self, layer):
        """Why this very layer has no local problem, or `None` if it has."""
        del layer

    @abc.abstractmethod
    def weights(self, layer):
        """The list of `keras.Variable`s that `z` is linear in."""

    def fans(self, layer):
        """How many inputs a unit has, and how many units an input has.

        Returns:
            Tuple `(fan_in, fan_out)`, here for a kernel of shape
            `(..., inputs, units)`, whose first axes span a receptive field.
        """
        *field, inputs, units = self.weights(layer)[0].shape
        return math.prod(field) * inputs, math.prod(field) * units

    @abc.abstractmethod
    def preactivation(self, layer, inputs):
        """Computes `z` from the layer's present weights.

        Args:
            layer: The layer.
            inputs: Tensor of shape `(rows, ..., features)`.

        Returns:
            Tensor of shape `(rows, ..., units)`.
        """

    @abc.abstractmethod
    def weight_gradients(self, layer, inputs, residual):
        """Computes `Σ_rows residual · ∂z/∂w` for each of `weights(layer)`.

        Args:
            layer: The layer.
            inputs: Tensor of shape `(rows, ..., features)`.
            residual: Tensor of shape `(rows, ..., units)`: the gradient of the
                local loss with respect to `z`.

        Returns:
            List of tensors, in the order and the shapes of `weights(layer)`.
        """


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
