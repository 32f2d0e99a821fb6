"""Comparisons of sizes, which are integers where the batch's shape is known.

What is known stays an integer: it may then be the size of a slice.
"""

from keras import ops


def smaller(one, other):
    if isinstance(one, int) and isinstance(other, int):
        return min(one, other)
    return ops.minimum(one, other)


def larger(one, other):
    if isinstance(one, int) and isinstance(other, int):
        return max(one, other)
    return ops.maximum(one, other)
