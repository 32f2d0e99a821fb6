"""Which rows of a layer's output the training loss takes into account."""

import functools

import keras
import numpy as np
from keras import ops

from keras_locoprop.layers import layer_kind_of
from keras_locoprop.sizes import larger


def doubted_examples(records, sample_weight):
    """Finds the examples some of whose rows may not count.

    Args:
        records: List of `tap.Record` of the forward pass.
        sample_weight: The sample weights of the batch: `None`, a tensor, or a
            structure of them with one for each of the model's outputs.

    Returns:
        Boolean tensor of shape `(batch,)`: the examples with a weight of zero.
        `True` if the model has masks: all of them. `None` if there are neither
        weights nor masks.
    """
    if any(record.is_masked for record in records):
        return True
    weights = [w for w in keras.tree.flatten(sample_weight) if w is not None]
    if not weights:
        return None
    return functools.reduce(
        ops.logical_or, [_has_zero(weight) for weight in weights]
    )


def counted_rows(record, gradient, doubted):
    """Marks the rows that have a say in the local problem of a record.

    A row of a doubted example does not count if no gradient reaches it. Zero
    weights and masks alone do not decide: some networks mix rows, so that what
    is masked out in one place has an influence in another.

    Args:
        record: `tap.Record`.
        gradient: Tensor, the gradient at `record.preactivation`.
        doubted: See `doubted_examples`.

    Returns:
        Boolean tensor that broadcasts against `gradient`, or `None`: all count.
    """
    parts = ops.shape(gradient)[0]
    # There is nothing to mark in none, and compiled by TensorFlow the reduction
    # below ends the process.
    if doubted is None or (isinstance(parts, int) and parts == 0):
        return None
    units = layer_kind_of(record.layer).unit_axes(record.layer, gradient)
    reached = ops.any(gradient != 0, axis=units, keepdims=True)
    if doubted is True:
        return reached
    # A layer may work on parts of examples, which then follow each other.
    examples = ops.shape(doubted)[0]
    if isinstance(parts, int) and isinstance(examples, int):
        example_of_part = np.arange(parts) * examples // parts
    else:
        parts, examples = ops.cast(parts, "int64"), ops.cast(examples, "int64")
        # A division of integers by zero ends the process.
        example_of_part = ops.arange(parts) * examples // larger(parts, 1)
    doubted = ops.take(doubted, example_of_part)
    doubted = ops.reshape(doubted, (-1, *[1] * (gradient.ndim - 1)))
    return ops.logical_or(ops.logical_not(doubted), reached)


def _has_zero(weight):
    zero = ops.equal(weight, 0)
    return ops.any(ops.reshape(zero, (ops.shape(zero)[0], -1)), axis=1)
