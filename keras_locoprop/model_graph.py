"""What stands directly behind a layer in a model that is a graph of layers."""

import math

import keras

from keras_locoprop import keras_private
from keras_locoprop.loss_link import link_of
from keras_locoprop.observed_graph import observed_graph


class ModelGraph:
    """The connections between the layers of a model.

    Known for Sequential and Functional models and inside of those nested in
    others, but not across their borders, and for the first call of each layer.
    A subclassed model's `call` is opaque: what follows its layers is known
    after it was observed, at its first batch.

    Args:
        model: A `keras.Model`.
    """

    def __init__(self, model):
        self._followers = {}
        for layer in keras_private.all_sublayers(model):
            for tensor in _symbolic(layer, "input"):
                self._followers.setdefault(id(tensor), []).append(layer)
        # Their identity is what counts, so that they have to stay alive.
        self._outputs = _symbolic(model, "outputs")
        self._observed = observed_graph(model)
        self._losses = losses_of_outputs(
            model, len(self._outputs) or len(self._observed.output_layers)
        )

    def follower(self, layer):
        """The one layer that takes the first output of `layer`, or `None`."""
        tensors = _symbolic(layer, "output")
        if not tensors:
            return self._observed.followers.get(id(layer))
        followers = [
            follower
            for tensor in tensors
            for follower in self._followers.get(id(tensor), ())
        ]
        return followers[0] if len(followers) == 1 else None

    def rows_per_example(self, layer, kind):
        """How many rows of its output an example has; empty if unknown."""
        for tensor in _symbolic(layer, "output"):
            units = kind.unit_axes(layer, tensor)
            sizes = [
                size
                for axis, size in enumerate(tensor.shape)
                if axis > 0 and axis not in units
            ]
            if None not in sizes:
                return math.prod(sizes)
        return ""

    def activation_of_loss(self, layer):
        """The activation that the training loss applies to a layer's output.

        Args:
            layer: A layer without an activation of its own.

        Returns:
            Sigmoid or softmax if the layer computes the logits of a
            cross-entropy with `from_logits=True`; otherwise `None`.
        """
        tensors = _symbolic(layer, "output")
        for output, loss in zip(self._outputs, self._losses):
            if any(output is tensor for tensor in tensors):
                return _activation_inside(loss)
        if not self._outputs:
            for layer_id, loss in zip(
                self._observed.output_layers, self._losses
            ):
                if layer_id == id(layer):
                    return _activation_inside(loss)
        return None


def is_linear(activation):
    """Whether an activation function, or a layer, passes on what it gets."""
    if type(activation) is keras.layers.Activation:
        activation = activation.activation
    return activation is None or activation is keras.activations.linear


def _symbolic(layer, attribute):
    """The symbolic tensors of a layer's first call, or of a whole model."""
    try:
        return keras.tree.flatten(getattr(layer, attribute))
    except (AttributeError, ValueError):  # Never called symbolically.
        return []


def losses_of_outputs(model, outputs):
    """The losses of a compiled model, one for each of its outputs.

    Args:
        model: A `keras.Model`.
        outputs: Integer, the number of outputs.

    Returns:
        List of losses as `compile` takes them, or `None`: that of an output
        without a loss, or of all if it is not known which output has which.
    """
    loss = getattr(model, "loss", None)
    if isinstance(loss, dict):
        losses = [loss.get(name) for name in _names_of_outputs(model)]
    elif isinstance(loss, (list, tuple)):
        losses = keras.tree.flatten(loss)
    else:
        losses = [loss] * outputs
    return losses if len(losses) == outputs else [None] * outputs


def _names_of_outputs(model):
    """What a dict of losses may call the outputs, in order of `outputs`."""
    structure = getattr(model, "output", None)
    if isinstance(structure, dict):
        return [
            next((k for k, v in structure.items() if v is output), None)
            for output in model.outputs
        ]
    return getattr(model, "output_names", None) or sorted(model.loss)


def _activation_inside(loss):
    activation, from_logits = link_of(loss)
    return activation if from_logits else None
