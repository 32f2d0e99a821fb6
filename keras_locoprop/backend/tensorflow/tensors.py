"""TensorFlow: single operations."""

import tensorflow as tf


def snapshot(variable):
    """The variable's present value, unmoved by later assignments."""
    return tf.convert_to_tensor(variable.value)


def version(variable):
    """A number that changes when a variable is written to, or `None`.

    `None` where writing to it does not disturb gradients through its value.
    """
    return None


def cholesky(matrix):
    """The lower factor; not finite where there is none."""
    # Keras's own raises, and a batch that is not finite is to be skipped.
    return tf.linalg.cholesky(matrix)


def widest_float():
    """The name of the most precise floating type that there is."""
    return "float64"
