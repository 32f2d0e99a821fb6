"""Keras optimizers on TensorFlow's fused, in-place update kernels."""

import keras
import tensorflow as tf

from keras_locoprop import keras_private


class FusedRMSprop(keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop` with momentum, in one pass over memory.

    Keras writes the update as a dozen elementwise operations. In a step of many
    small updates those would take longer than the matrix products.
    """

    def update_step(self, gradient, variable, learning_rate):
        mean_square, momentum = keras_private.rmsprop_slots(self, variable)
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=mean_square.value.handle,
            mom=momentum.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            rho=tf.constant(self.rho, variable.dtype),
            momentum=tf.constant(self.momentum, variable.dtype),
            epsilon=tf.constant(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )


def apply(optimizer, gradients, weights):
    """`optimizer.apply`, be it one that scales the loss."""
    optimizer.apply(gradients, weights)


def update_class(optimizer):
    """The class that updates weights as a Keras optimizer does.

    It can be subclassed by `update_step`. A subclass of a Keras optimizer is
    left alone: it may update differently.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.

    Returns:
        Tuple `(class, is_fused)`; a fused one passes over memory once by
        itself.
    """
    is_plain = type(optimizer) is keras.optimizers.RMSprop
    if is_plain and optimizer.momentum and not optimizer.centered:
        return FusedRMSprop, True
    return type(optimizer), False
