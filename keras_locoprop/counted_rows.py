"""Which rows of a layer's output the training loss takes into account."""

import functools

import keras
from keras import ops

from keras_locoprop.layers import layer_kind_of


def counted_rows(record, gradient, sample_weight):
    """Marks the rows that have a say in the local problem of a record.

    A row does not count if it is masked out or its sample weights are zero, and
    no gradient reaches it, either: some networks mix rows, so that a row may
    have an influence on the loss for all its zero weight.

    Args:
        record: `tap.Record`.
        gradient: Tensor, the gradient at `record.preactivation`.
        sample_weight: The sample weights of the batch: `None`, a tensor, or a
            structure of them with one for each of the model's outputs.

    Returns:
        Boolean tensor that broadcasts against `gradient`, or `None` if there is
        neither a mask nor a weight: all rows count.
    """
    doubts = _doubts(record, sample_weight, gradient.shape)
    if not doubts:
        return None
    rank = len(gradient.shape)
    doubts = [_expand(doubt, rank) for doubt in doubts]
    doubted = functools.reduce(ops.logical_or, doubts)
    time_counts = any(doubt.shape[1] != 1 for doubt in doubts)
    axes = tuple(range(2 if time_counts else 1, rank))
    reached = ops.any(gradient != 0, axis=axes, keepdims=True)
    return ops.logical_or(ops.logical_not(doubted), reached)


def _doubts(record, sample_weight, shape):
    """Boolean tensors of shape `(batch,)` or `(batch, time)`: may not count."""
    keeps_time = layer_kind_of(record.layer).keeps_time(record.layer)
    keeps_time = keeps_time and len(shape) > 2
    doubts = []
    if record.mask is not None and keeps_time:
        doubts.append(ops.logical_not(record.mask))
    weights = keras.tree.flatten(sample_weight)
    if weights and all(weight is not None for weight in weights):
        zero = [ops.equal(weight, 0) for weight in weights]
        # Of two unknown lengths nobody knows that they are equal.
        same_time = keeps_time and shape[1] is not None
        if not same_time or any(one.shape[1:] != shape[1:2] for one in zero):
            zero = [
                ops.all(ops.reshape(one, (ops.shape(one)[0], -1)), axis=1)
                for one in zero
            ]
        doubts.append(functools.reduce(ops.logical_and, zero))
    return doubts


def _expand(tensor, rank):
    shape = ops.shape(tensor)
    return ops.reshape(tensor, (*shape, *[1] * (rank - len(shape))))
