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


class Reshaped(keras.layers.Layer):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def call(self, inputs):
        return keras.ops.reshape(inputs, self.shape)

    def compute_output_shape(self, input_shape):
        return (None, *self.shape[1:])


def test_layers_that_work_on_parts_of_examples():
    """As those within windows do; on whole ones it is the same network."""
    x = np.random.default_rng(0).normal(size=(64, 6, 4)).astype("float32")

    def trained(is_folded):
        keras.utils.set_random_seed(0)
        inputs = hidden = keras.Input((6, 4))
        if is_folded:
            hidden = Reshaped((-1, 4))(hidden)
        hidden = keras.layers.Dense(5, "tanh")(hidden)
        if is_folded:
            hidden = Reshaped((-1, 6, 5))(hidden)
        outputs = keras.layers.Dense(4)(hidden)
        model = keras_locoprop.Model(inputs, outputs)
        model.compile(LocoProp("auto"), "mse")
        model.fit(x, x, batch_size=32, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    for one, other in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


# What a model may end with in place of a layer with its activation.
ENDS = {
    "layer": lambda activation: [
        keras.layers.Dense(3),
        keras.layers.Activation(activation),
    ],
    "softmax": lambda _: [keras.layers.Dense(3), keras.layers.Softmax()],
}


@pytest.mark.parametrize(
    ("end", "activation", "loss"),
    [
        ("layer", "softmax", "sparse_categorical_crossentropy"),
        ("softmax", "softmax", "sparse_categorical_crossentropy"),
        ("layer", "sigmoid", "binary_crossentropy"),
    ],
)
def test_the_last_activation_is_one_wherever_it_stands(end, activation, loss):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 4)).astype("float32")
    y = {
        "softmax": generator.integers(3, size=64),
        "sigmoid": generator.uniform(size=(64, 3)).astype("float32"),
    }[activation]

    def trained(end):
        keras.utils.set_random_seed(3)
        first = [keras.Input((4,)), keras.layers.Dense(8, "tanh")]
        model = keras_locoprop.Sequential(first + end(activation))
        model.compile(LocoProp("auto"), loss)
        model.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0)
        return model.get_weights()

    expected = trained(lambda activation: [keras.layers.Dense(3, activation)])
    for one, other in zip(trained(ENDS[end]), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_an_output_that_depends_on_no_weight():
    inputs = keras.Input((4,))
    outputs = [keras.layers.Dense(2)(inputs), keras.layers.Identity()(inputs)]
    model = keras_locoprop.Model(inputs, outputs)
    model.compile(LocoProp("auto"), ["mse", "mse"])
    x = np.random.normal(size=(32, 4)).astype("float32")
    losses = model.fit(x, [x[:, :2], x], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_first_output_that_is_one_number_and_has_no_loss():
    """As a penalty that is returned to be looked at."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(8, "tanh")(inputs)
    outputs = [keras.ops.mean(hidden), keras.layers.Dense(2)(hidden)]
    model = keras_locoprop.Model(inputs, outputs)
    model.compile(LocoProp("auto"), [None, "mse"])
    x = np.random.normal(size=(32, 4)).astype("float32")
    losses = model.fit(x, [x[:, 0], x[:, :2]], epochs=5, verbose=0)
    losses = losses.history["loss"]
    assert losses[-1] < losses[0]
    assert int(model.optimizer.skipped_steps) == 0


def test_a_frozen_layer_behind_others():
    """Gradients pass through its kernel, which is no weight of the model's."""
    model = keras_locoprop.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "tanh"),
            keras.layers.Dense(8, "tanh", trainable=False),
            keras.layers.LayerNormalization(trainable=False),
            keras.layers.Dense(2, trainable=False),
        ]
    )
    model.compile(LocoProp("auto"), "mse")
    x = np.random.normal(size=(32, 4)).astype("float32")
    losses = model.fit(x, x[:, :2], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_sum_of_absolute_errors_is_trained_as_their_mean():
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

    def trained(reduction):
        keras.utils.set_random_seed(0)
        model = keras_locoprop.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(8, "tanh"),
                keras.layers.Dense(2),
            ]
        )
        before = model.get_weights()
        loss = keras.losses.MeanAbsoluteError(reduction=reduction)
        model.compile(LocoProp("auto"), loss)
        model.fit(
            x, x[:, :2], batch_size=32, epochs=2, shuffle=False, verbose=0
        )
        return before, model.get_weights()

    (before, means), (_, sums) = map(trained, ("sum_over_batch_size", "sum"))
    for start, one, other in zip(before, means, sums, strict=True):
        assert np.abs(one - start).max() > 0.02
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)
