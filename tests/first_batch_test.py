"""What a model is called for before its first step leaves no trace."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop import coverage

pytestmark = pytest.mark.backends

FEATURES, EXAMPLES, BATCH = 4, 32, 8


class Counting(layers.Layer):
    """A composite layer, into which no graph looks; counts its calls."""

    def __init__(self, is_complete=True, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(FEATURES, name="inside")
        self.activation = layers.ReLU()
        if not is_complete:
            self.unused = layers.Dense(FEATURES, name="unused")

    def build(self, shape):
        self.dense.build(shape)
        self.calls = self.add_weight(
            shape=(), trainable=False, initializer="zeros"
        )

    def call(self, inputs):
        self.calls.assign(self.calls + 1.0)
        return self.activation(self.dense(inputs))


class Subclassed(keras_locoprop.Model):
    def __init__(self, counting):
        super().__init__()
        self.counting, self.last = counting, layers.Dense(1)

    def call(self, inputs):
        return self.last(self.counting(inputs))


def of_graph(counting):
    return keras_locoprop.Sequential(
        [keras.Input((FEATURES,)), counting, layers.Dense(1)]
    )


@pytest.mark.parametrize("is_complete", [True, False])
@pytest.mark.parametrize("make", [of_graph, Subclassed])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_each_step_is_one_call(make, is_complete, run_eagerly):
    counting = Counting(is_complete)
    model = make(counting)
    model.compile(LocoProp(), "mse", run_eagerly=run_eagerly)
    x = np.random.normal(size=(EXAMPLES, FEATURES)).astype("float32")
    model.fit(x, x[:, :1], batch_size=BATCH, epochs=2, verbose=0)
    assert float(counting.calls) == 2 * EXAMPLES / BATCH
    rows = {row.layer.split("/")[-1]: row for row in coverage(model)}
    assert rows["inside"].activation == f"ReLU ({counting.activation.name})"
