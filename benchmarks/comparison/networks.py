"""Keras models from the layers of `tasks.TASKS`."""

import keras
from keras import layers

import keras_locoprop
from benchmarks.comparison.training_loop import NORMALIZATION_EPSILON

# The name of the last layer, which is dense in all of them.
OUTPUT = "output"


class Positions(layers.Layer):
    """Adds a vector of its own to each position of a sequence."""

    def build(self, input_shape):
        self.vectors = self.add_weight(
            shape=input_shape[1:],
            initializer=keras.initializers.RandomUniform(-0.05, 0.05),
            name="vectors",
        )

    def call(self, inputs):
        return inputs + self.vectors


def _attention(hidden, heads, size):
    attended = layers.MultiHeadAttention(heads, size)(hidden, hidden)
    return _normalized(layers.Add()([attended, hidden]))


def _feed_forward(hidden, units, activation):
    inner = layers.Dense(units, activation=activation)(hidden)
    outer = layers.Dense(hidden.shape[-1])(inner)
    return _normalized(layers.Add()([outer, hidden]))


def _normalized(hidden):
    return layers.LayerNormalization(epsilon=NORMALIZATION_EPSILON)(hidden)


KINDS = {
    "dense": lambda hidden, units, activation: layers.Dense(
        units, activation=activation
    )(hidden),
    "convolution": lambda hidden, filters, size, activation: layers.Conv2D(
        filters, size, activation=activation
    )(hidden),
    "pooling": lambda hidden, size: layers.MaxPooling2D(size)(hidden),
    "flatten": lambda hidden: layers.Flatten()(hidden),
    "mean": lambda hidden: layers.GlobalAveragePooling1D()(hidden),
    "embedding": lambda hidden, symbols, width: layers.Embedding(
        symbols, width
    )(hidden),
    "positions": lambda hidden: Positions()(hidden),
    "attention": _attention,
    "feed_forward": _feed_forward,
}


def build(task, seed=0):
    """Builds the model of a problem; a seed determines its weights.

    Args:
        task: `tasks.Task`.
        seed: Integer.

    Returns:
        A `keras_locoprop.Model`, not compiled. Trained by any other optimizer
        it is like Keras's own.
    """
    keras.utils.set_random_seed(seed)
    dtype = "int32" if task.layers[0][0] == "embedding" else "float32"
    inputs = hidden = keras.Input(task.input_shape, dtype=dtype)
    *others, (_, units, activation) = task.layers
    for kind, *arguments in others:
        hidden = KINDS[kind](hidden, *arguments)
    last = layers.Dense(units, activation=activation, name=OUTPUT)
    return keras_locoprop.Model(inputs, last(hidden))
