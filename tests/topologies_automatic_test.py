"""An automatic step on every topology."""

import keras
import numpy as np
import pytest

import keras_locoprop
from keras_locoprop import LocoProp
from tests.equivalence import random_arrays
from tests.topologies import TOPOLOGIES

pytestmark = pytest.mark.backends


# What two directions take to compile, one of them shows as well.
@pytest.mark.parametrize(
    "name", [n for n in TOPOLOGIES if n != "bidirectional"]
)
def test_it_lowers_the_loss(name):
    model = keras_locoprop.Model(*TOPOLOGIES[name]())
    # All data are in each batch: there is no noise to be damped.
    model.compile(LocoProp("auto", damping=1e-4), "mse")
    x = random_arrays(model.inputs, seed=1)
    y = random_arrays(model.outputs, seed=2)
    losses = model.fit(x, y, epochs=15, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < 0.9 * losses[0]
    assert int(model.optimizer.skipped_steps) == 0


def test_an_output_that_depends_on_no_weight():
    inputs = keras.Input((4,))
    outputs = [keras.layers.Dense(2)(inputs), keras.layers.Identity()(inputs)]
    model = keras_locoprop.Model(inputs, outputs)
    model.compile(LocoProp("auto"), ["mse", "mse"])
    x = np.random.normal(size=(32, 4)).astype("float32")
    losses = model.fit(x, [x[:, :2], x], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
