"""The size that targets are relative to, where gradients are zero."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop.tap import Record
from keras_locoprop.targets import network_gradient_scale

pytestmark = pytest.mark.backends

FEATURES, EXAMPLES = 4, 32


@pytest.fixture
def x():
    return np.random.normal(size=(EXAMPLES, FEATURES)).astype("float32")


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([3.0, 1.0, 2.0], 2.0),
        ([3.0, 1.0, 2.0, 5.0], 2.5),
        ([0.0, 0.0, 0.0, 4.0], 4.0),
        # Zeros but for rounding, as of means that a normalization takes out.
        ([1e-8, 0.0, 3.0, 1e-8, 5.0, 1e-8], 4.0),
        ([0.0, 0.0], 0.0),
        ([2.0], 2.0),
        ([1.0, float("nan"), 1.0], float("nan")),
        ([1.0, float("inf"), 1.0], float("inf")),
    ],
)
def test_calls_without_a_gradient_do_not_count(sizes, expected):
    dense = layers.Dense(3)
    dense.build((None, FEATURES))
    record = Record(dense, None, None, False, None, None)
    gradients = [ops.full((5, 3), size) for size in sizes]
    scale = network_gradient_scale(
        [record] * len(sizes), gradients, [None] * len(sizes), "float32"
    )
    np.testing.assert_allclose(ops.convert_to_numpy(scale), expected, 1e-6)


def trains(model, x, optimizer, epochs=20, **options):
    model.compile(optimizer, "mse")
    fitted = model.fit(x, x, epochs=epochs, verbose=0, **options)
    losses = fitted.history["loss"]
    assert int(optimizer.skipped_steps) == 0
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("learning_rate", [None, "auto"])
def test_a_last_kernel_that_starts_at_zero(learning_rate, x):
    """No other layer has a gradient then."""
    model = keras_locoprop.Sequential(
        [
            keras.Input((FEATURES,)),
            *(layers.Dense(16, "relu") for _ in range(3)),
            layers.Dense(FEATURES, kernel_initializer="zeros"),
        ]
    )
    before = model.get_weights()
    trains(model, x, LocoProp(learning_rate))
    for one, other in zip(before, model.get_weights(), strict=True):
        assert np.any(one != other)


@pytest.mark.parametrize(
    "arguments", [{}, {"inner_batch_size": 8}, {"learning_rate": "auto"}]
)
@pytest.mark.parametrize("sample_weight", [None, np.arange(EXAMPLES) % 2.0])
def test_a_call_on_no_rows(arguments, sample_weight, x):
    """As of an expert that no example of a batch is sent to."""

    class Experts(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.busy = layers.Dense(FEATURES)
            self.idle = layers.Dense(FEATURES)

        def call(self, inputs):
            return self.busy(inputs) + ops.sum(self.idle(inputs[:0]))

    optimizer = LocoProp(**arguments)
    trains(Experts(), x, optimizer, sample_weight=sample_weight)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="its rows of unknown number"
)
@pytest.mark.parametrize("learning_rate", [None, "auto"])
@pytest.mark.parametrize("sample_weight", [None, np.arange(EXAMPLES) % 2.0])
def test_a_call_on_no_rows_of_a_number_not_known(
    learning_rate, sample_weight, x
):
    import tensorflow as tf

    class Routed(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.busy = layers.Dense(FEATURES)
            self.idle = layers.Dense(FEATURES)

        def call(self, inputs):
            rows = tf.boolean_mask(inputs, inputs[:, 0] > 1e6)
            return self.busy(inputs) + ops.sum(self.idle(rows))

    optimizer = LocoProp(learning_rate)
    trains(Routed(), x, optimizer, sample_weight=sample_weight)
