"""The same training gives the same weights, whichever way it is executed."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from tests.contract.models import assert_other_weights
from tests.contract.models import assert_same_weights

EXAMPLES, BATCHES = 32, 8


def dense():
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, "relu")(inputs)
    return inputs, layers.Dense(3, "softmax")(hidden)


def dropped_out():
    inputs = keras.Input((6,))
    hidden = layers.Dropout(0.25)(layers.Dense(8, "relu")(inputs))
    return inputs, layers.Dense(3, "softmax")(hidden)


def convolutional():
    inputs = keras.Input((6, 6, 2))
    hidden = layers.Conv2D(4, 3, activation="relu")(inputs)
    hidden = layers.Flatten()(layers.BatchNormalization()(hidden))
    return inputs, layers.Dense(3, "softmax")(hidden)


def attentive():
    inputs = keras.Input((5, 4))
    hidden = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    hidden = layers.LayerNormalization()(layers.Add()([hidden, inputs]))
    hidden = layers.GlobalAveragePooling1D()(hidden)
    return inputs, layers.Dense(3, "softmax")(hidden)


def train(network, seed=0, shuffle=False, **options):
    keras.utils.set_random_seed(seed)
    model = keras_locoprop.Model(*network())
    model.compile(LocoProp(), "sparse_categorical_crossentropy", **options)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, *model.input_shape[1:]))
    y = generator.integers(3, size=EXAMPLES)
    batch_size = EXAMPLES // BATCHES
    model.fit(x, y, batch_size=batch_size, shuffle=shuffle, verbose=0)
    assert int(model.optimizer.iterations) == BATCHES
    return model.get_weights()


@pytest.mark.parametrize("network", [dense, convolutional, attentive])
def test_ways_to_execute_agree(network):
    """Without dropout: XLA has random numbers of its own for a seed."""
    expected = train(network, jit_compile=False)
    for options in (
        {"jit_compile": True},
        {"run_eagerly": True},
        {"jit_compile": False, "steps_per_execution": BATCHES},
    ):
        weights = train(network, **options)
        assert_same_weights(weights, expected, rtol=1e-4, atol=1e-5)


def write_weights(path):
    """Initial weights, order of the examples, dropout: all from the seed."""
    np.savez(path, *train(dropped_out, shuffle=True))


def test_same_seed_same_weights_in_two_processes(tmp_path):
    command = (
        "import sys; from tests.contract.exactness_test import write_weights; "
        "write_weights(sys.argv[1])"
    )
    paths = [tmp_path / "one.npz", tmp_path / "other.npz"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", command, path],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )
        for path in paths
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    one, other = map(np.load, paths)
    assert one.files == other.files
    for name in one.files:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_another_seed_other_weights():
    assert_other_weights(train(dense, seed=0), train(dense, seed=1))
