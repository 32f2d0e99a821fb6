"""Models trained by LocoProp, and what they answer within Keras."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop

CLASSES, EXAMPLES = 3, 32


class Trained(NamedTuple):
    model: keras.Model
    inputs: np.ndarray
    answers: np.ndarray


def dense():
    return keras_locoprop.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "tanh"),
            layers.Dense(CLASSES, "softmax"),
        ]
    )


def convnet():
    return keras_locoprop.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.Dense(CLASSES, "softmax"),
        ]
    )


def prepared():
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, "relu")(inputs)
    hidden = layers.Concatenate()([hidden, inputs])
    outputs = layers.Dense(CLASSES, "softmax")(hidden)
    return keras_locoprop.prepare(keras.Model(inputs, outputs))


@pytest.fixture(scope="session", params=[dense, convnet, prepared])
def trained(request):
    keras.utils.set_random_seed(1)
    model = request.param()
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, *model.input_shape[1:]))
    x = x.astype("float32")
    y = generator.integers(0, CLASSES, EXAMPLES)
    # Large steps, so that the answers of an untrained model would be seen.
    optimizer = keras_locoprop.LocoProp(1e-2, fallback_optimizer="adam")
    model.compile(optimizer, "sparse_categorical_crossentropy")
    before = model.predict(x, verbose=0)
    model.fit(x, y, batch_size=EXAMPLES // 2, epochs=2, verbose=0)
    answers = model.predict(x, verbose=0)
    assert np.abs(answers - before).max() > 1e-3
    return Trained(model, x, answers)
