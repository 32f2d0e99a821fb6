"""What stands directly behind a layer in a model that is a graph of layers."""

import math

import keras

from keras_locoprop import keras_private
from keras_locoprop.loss_link import link_of
from keras_locoprop.observed_graph import observed_graph
from keras_locoprop.symbolic_graph import first_calls
from keras_locoprop.symbolic_graph import symbolic_calls


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
        # It has the tensors alive, whose identity is what counts.
        self._calls = symbolic_calls(model)
        self._first_calls = first_calls(self._calls)
        self._takers = {}
        for call in self._calls:
            for tensor in call.input_tensors:
                self._takers.setdefault(id(tensor), []).append(call.operation)
        self._outputs = keras_private.graph_outputs(model)
        self._observed = observed_graph(model)
        self._losses = losses_of_outputs(
            model, len(self._outputs) or len(self._observed.output_layers)
        )

    def follower(self, layer):
        """The one layer that takes the first output of `layer`, or `None`."""
        if id(layer) not in self._first_calls:
            return self._observed.followers.get(id(layer))
        takers = [
            taker
            for tensor in self._tensors_of(layer)
            for taker in self._takers.get(id(tensor), ())
        ]
        if len(takers) == 1 and isinstance(takers[0], keras.Layer):
            return takers[0]
        return None

    def rows_per_example(self, layer, kind):
        """How many rows of its output an example has; empty if unknown."""
        for tensor in self._tensors_of(layer):
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
        tensors = self._tensors_of(layer)
        for output, loss in zip(self._outputs, self._losses):
            if any(output is tensor for tensor in tensors):
                return _activation_inside(loss, len(output.shape))
        if not self._outputs:
            for layer_id, loss in zip(
                self._observed.output_layers, self._losses
            ):
                if layer_id == id(layer):
                    return _activation_inside(loss)
        return None

    def _tensors_of(self, layer):
        """The symbolic outputs of a layer's first call."""
        call = self._first_calls.get(id(layer))
        return [] if call is None else call.output_tensors


def is_linear(activation):
    """Whether an activation function, or a layer, passes on what it gets."""
    if type(activation) is keras.layers.Activation:
        activation = activation.activation
    return activation is None or activation is keras.activations.linear


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


def _activation_inside(loss, rank=None):
    activation, from_logits = link_of(loss, rank)
    return activation if from_logits else None
