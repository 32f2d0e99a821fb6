"""An automatic step on every topology."""

import numpy as np
import pytest

import keras_locoprop
from keras_locoprop import LocoProp
from tests.equivalence import random_arrays
from tests.topologies import TOPOLOGIES

pytestmark = pytest.mark.backends


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_it_lowers_the_loss(name):
    model = keras_locoprop.Model(*TOPOLOGIES[name]())
    # All data are in each batch: there is no noise to be damped.
    model.compile(LocoProp("auto", damping=1e-4), "mse")
    x = random_arrays(model.inputs, seed=1)
    y = random_arrays(model.outputs, seed=2)
    losses = model.fit(x, y, epochs=15, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < 0.9 * losses[0]
    assert int(model.optimizer.skipped_steps) == 0
