"""PyTorch: Keras optimizers within a step."""

from keras_locoprop import keras_private


def apply(optimizer, gradients, weights):
    optimizer.apply(gradients, weights)


def update_class(optimizer):
    # Keras's own for PyTorch update all weights at once, at one rate.
    return keras_private.plain_optimizer_class(optimizer), False
