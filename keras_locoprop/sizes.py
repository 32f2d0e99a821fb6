"""Sizes of batches, which are integers where the batch's shape is known.

What is known stays an integer: it may then be the size of a slice.
"""

import keras
from keras import ops


def first_input(x):
    """The first tensor of a batch's inputs; optional ones may be `None`."""
    return next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)


def smaller(one, other):
    if isinstance(one, int) and isinstance(other, int):
        return min(one, other)
    return ops.minimum(one, other)


def larger(one, other):
    if isinstance(one, int) and isinstance(other, int):
        return max(one, other)
    return ops.maximum(one, other)
