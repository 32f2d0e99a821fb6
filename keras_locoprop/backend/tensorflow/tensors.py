"""TensorFlow: single operations."""

import tensorflow as tf


def snapshot(variable):
    """The variable's present value, unmoved by later assignments."""
    return tf.convert_to_tensor(variable.value)


def cholesky(matrix):
    """The lower factor; not finite where there is none."""
    # Keras's own raises, and a batch that is not finite is to be skipped.
    return tf.linalg.cholesky(matrix)


def widest_float():
    """The name of the most precise floating type that there is."""
    return "float64"
