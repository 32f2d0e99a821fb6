"""TensorFlow: single operations."""

import tensorflow as tf
from keras import ops


def snapshot(variable):
    """The variable's present value, unmoved by later assignments."""
    return tf.convert_to_tensor(variable.value)


def rows(tensor, start, size):
    """`tensor[start : start + size]`."""
    return tensor[start : start + size]


def cholesky(matrix):
    """The lower factor; not finite where there is none."""
    return ops.cholesky(matrix)
