"""A model on a batch, as a function of its weights."""

import copy

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.losses import is_activation_layer
from keras_locoprop.model_graph import losses_of_outputs
from keras_locoprop.output_curvature import output_point
from keras_locoprop.precision import in_full_precision
from keras_locoprop.sizes import first_input
from keras_locoprop.sizes import larger
from keras_locoprop.sizes import smaller
from keras_locoprop.tap import recording
from keras_locoprop.watched_calls import watching

_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


class Network:
    """Forward passes that leave no trace in the model.

    What a forward pass in training changes (moving statistics, seeds, metrics
    of losses) is put back. Each starts from the state that there was when this
    object was made: so they all see the same masks of dropout, and so does the
    forward pass that the gradients are of.

    Args:
        model: A compiled `keras.Model`.
        local_layers: List of `local_layers.LocalLayer`.
        x: The inputs of the batch.
        y: Its targets.
        sample_weight: Its sample weights, or `None`.
    """

    def __init__(self, model, local_layers, x, y, sample_weight):
        self._model = model
        self._layers = [local.layer for local in local_layers]
        self._activation_layers = list(
            filter(is_activation_layer, keras_private.all_sublayers(model))
        )
        self._batch = (x, y, sample_weight)
        self.sample_weight = sample_weight
        self._at_start = self._snapshots()

    @property
    def examples(self):
        """The number of examples, a scalar tensor or an integer."""
        x, _, _ = self._batch
        return ops.shape(first_input(x))[0]

    def rows_for_curvature(self, scalars=50_000):
        """How many examples the quadratic model needs.

        An eighth of the batch, or so many that the outputs hold `scalars`
        numbers: curvature is averaged over both. All where the loss may not be
        a mean over examples; in a subclassed model, whose outputs are not known
        beforehand, as if it had one output.
        """
        examples = self.examples
        own_loss = (
            type(self._model).compute_loss is not keras.Model.compute_loss
        )
        losses = keras.tree.flatten(self._model.loss)
        if own_loss or any(map(_is_sum, losses)):
            return examples
        sizes = [
            output.shape[1:]
            for output in keras_private.graph_outputs(self._model)
        ]
        outputs = sum(_product(size) for size in sizes) or 1
        needed = -(-scalars // outputs)
        eighth = -(-examples // 8)
        return smaller(examples, larger(eighth, needed))

    def on_rows(self, rows):
        """The same network on the first examples of the batch."""
        first = copy.copy(self)
        first._batch = _first(self._batch, rows)
        _, _, first.sample_weight = first._batch
        return first

    def forward(self):
        """Runs the model as in training.

        Returns:
            Tuple `(points, records, loss)`: the list of `OutputPoint`, the list
            of `tap.Record`, and a callable that maps the points, and tensors in
            place of their values, to the training loss.
        """
        x, y, sample_weight = self._batch
        before = self._snapshots()
        _restore(self._at_start)
        with (
            recording(self._layers) as records,
            watching(self._activation_layers) as activation_calls,
        ):
            outputs = keras_private.call_model(self._model, x, training=True)
        leaves = keras.tree.flatten(outputs)
        losses = losses_of_outputs(self._model, len(leaves))
        points = [
            output_point(leaf, loss, records, activation_calls)
            for leaf, loss in zip(leaves, losses)
        ]
        points = [
            point._replace(
                value=in_full_precision(point.value), is_sum=_is_sum(loss)
            )
            for point, loss in zip(points, losses)
        ]
        _restore(before)

        # The tensors of this pass reach it through the points alone: where they
        # are traced, those that are closed over would be left behind.
        def loss(points, values):
            predicted = [
                _predicted(point, value) for point, value in zip(points, values)
            ]
            before = self._snapshots()
            value = keras_private.compute_loss(
                self._model,
                x=x,
                y=y,
                y_pred=keras.tree.pack_sequence_as(outputs, predicted),
                sample_weight=sample_weight,
                training=True,
            )
            _restore(before)
            return value

        return points, records, loss

    def loss(self):
        """The training loss at the present weights."""
        points, _, loss = self.forward()
        return loss(points, [point.value for point in points])

    def _snapshots(self):
        """Tuples of what a forward pass changes, its value and its version."""
        # Not two lists: the first loss makes metrics, in front of others.
        state = self._model.non_trainable_variables + [
            variable
            for metric in self._model.metrics
            for variable in metric.variables
        ]
        return [
            (variable, backend.snapshot(variable), backend.version(variable))
            for variable in state
        ]


def _is_sum(loss):
    """Whether a loss may sum over examples. Functions are taken for means."""
    return getattr(loss, "reduction", "mean") not in _MEANS


def _predicted(point, value):
    """The output of the model that `value` leads to, with its mask."""
    if point.activation is keras.activations.linear:
        # Behind an identity Keras sees no logits that the gradient would go to
        # in place of the output.
        predicted = ops.multiply(value, 1.0)
    else:
        predicted = point.activation(value)
    if point.mask is not None:
        keras_private.set_mask(predicted, point.mask)
    return predicted


def _restore(snapshots):
    for variable, value, version in snapshots:
        # PyTorch refuses gradients through what has been written to since.
        if version is None or version != backend.version(variable):
            variable.assign(value)


def _product(shape):
    product = 1
    for size in shape:
        product *= size or 1
    return product


def _first(batch, rows):
    return keras.tree.map_structure(
        lambda tensor: None if tensor is None else tensor[:rows], batch
    )
