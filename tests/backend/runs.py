"""Short trainings whose result does not depend on the backend.

Run as a program, with the path of a file to write: it trains all of them and
saves the weights. Weights and data are drawn by NumPy, and so are the signs
that the curvature is sampled with.
"""

import contextlib
import sys

import keras
import numpy as np
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop import output_curvature
from tests.double_precision import double_precision

FEATURES, EXAMPLES, BATCH_SIZE, EPOCHS = 12, 80, 20, 5

RUNS = {
    "defaults": {},
    "squared": {"variant": "squared", "inner_batch_size": 7},
    "many_inner_steps": {"inner_steps": 12, "inner_batch_size": 7},
    "gram": {"solver": "gram"},
    "paper": {"gradient_scaling": "absolute", "inner_optimizer": "adam"},
    "conjugate_gradient": {"solver": "conjugate_gradient"},
    "exact": {"solver": "exact", "output_scaling": "unit"},
    "automatic": {"learning_rate": "auto"},
    "automatic_iterative": {"learning_rate": "auto", "solver": "iterative"},
    "kept_averages": {"use_ema": True, "clipnorm": 0.01, "weight_decay": 0.1},
}


def make_model():
    inputs = keras.Input((FEATURES, 1))
    hidden = layers.Conv1D(4, 3, strides=2, activation="relu")(inputs)
    hidden = layers.LayerNormalization()(layers.Flatten()(hidden))
    hidden = layers.Dense(6, activation="tanh")(hidden)
    return keras_locoprop.Model(
        inputs, layers.Dense(3, activation="softmax")(hidden)
    )


def train(arguments):
    """Takes twenty steps; returns all weights in one array."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, FEATURES, 1))
    x = x.astype(keras.config.floatx())
    y = np.argmax(x[:, :3, 0], axis=-1)
    model = make_model()
    model.set_weights(
        [
            generator.normal(0, 0.4, size=weight.shape)
            for weight in model.get_weights()
        ]
    )
    model.compile(LocoProp(**arguments), "sparse_categorical_crossentropy")
    model.fit(
        x, y, batch_size=BATCH_SIZE, epochs=EPOCHS, shuffle=False, verbose=0
    )
    assert int(model.optimizer.skipped_steps) == 0
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()])


def draw(shape, seed=None):
    """In place of `keras.random.normal`: the same in every step."""
    del seed
    values = np.random.default_rng(1).normal(size=[int(size) for size in shape])
    return keras.ops.convert_to_tensor(values, keras.config.floatx())


def train_all():
    normal = keras.random.normal
    output_curvature.keras.random.normal = draw
    try:
        return {name: _in_its_precision(name) for name in RUNS}
    finally:
        output_curvature.keras.random.normal = normal


def _in_its_precision(name):
    # Solutions in closed form of little data make much of rounding: half as
    # much again in each step.
    is_sensitive = RUNS[name].get("learning_rate") == "auto"
    with double_precision() if is_sensitive else contextlib.nullcontext():
        return train(RUNS[name])


if __name__ == "__main__":
    np.savez(sys.argv[1], **train_all())
