"""What an automatic step cannot do is said before any weight changes."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp

pytestmark = pytest.mark.backends

FEATURES, EXAMPLES = 4, 12


@pytest.fixture
def data():
    x = np.random.normal(size=(EXAMPLES, FEATURES))
    return x, x[:, :1]


class Endpoint(layers.Layer):
    """Adds the only loss that there is."""

    def call(self, outputs, targets):
        self.add_loss(keras.ops.mean((outputs - targets) ** 2))
        return outputs


def test_a_loss_that_layers_add_alone_is_refused():
    inputs, targets = keras.Input((FEATURES,)), keras.Input((1,))
    outputs = Endpoint()(layers.Dense(1)(inputs), targets)
    model = keras_locoprop.Model([inputs, targets], outputs)
    x = np.ones((EXAMPLES, FEATURES)), np.ones((EXAMPLES, 1))
    before = model.get_weights()
    model.compile(LocoProp("auto"))
    with pytest.raises(ValueError, match="`loss` must be given to `compile`"):
        model.fit(x, verbose=0)
    np.testing.assert_equal(model.get_weights(), before)
    model.compile(LocoProp())
    losses = model.fit(x, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("learning_rate", "batch_size", "diverges"),
    [
        ("auto", 1, True),
        ("auto", 16, False),
        (None, 1, False),
    ],
)
@pytest.mark.not_on("torch", reason="it takes long in eager steps")
def test_batches_of_a_few_examples(learning_rate, batch_size, diverges):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(256, 10)).astype("float32")
    y = np.argmax(np.tanh(x) @ generator.normal(size=(10, 5)), axis=1)
    model = keras_locoprop.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(32, "tanh"),
            layers.Dense(5, "softmax"),
        ]
    )
    model.compile(LocoProp(learning_rate), "sparse_categorical_crossentropy")
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, batch_size=batch_size, epochs=2, verbose=0)
    assert (model.evaluate(x, y, verbose=0) > before) == diverges


def test_an_input_that_is_left_out(data):
    absent = keras.Input((FEATURES,), optional=True)
    inputs = keras.Input((FEATURES,))

    class OfThose(layers.Layer):
        def call(self, tensors):
            return sum(tensor for tensor in tensors if tensor is not None)

    outputs = layers.Dense(1)(OfThose()([absent, inputs]))
    model = keras_locoprop.Model([absent, inputs], outputs)
    model.compile(LocoProp("auto"), "mse")
    x, y = data
    losses = [model.train_on_batch([None, x], y) for _ in range(5)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("frozen", ["kernel", "bias"])
def test_a_kernel_without_its_bias(frozen, data):
    model = keras_locoprop.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(3, "tanh"), layers.Dense(1)]
    )
    model.compile(LocoProp("auto"), "mse")
    model.fit(*data, verbose=0)
    before = model.get_weights()
    getattr(model.layers[0], frozen).trainable = False
    model.compile(model.optimizer, "mse")
    with pytest.raises(
        ValueError, match="must be the same for a kernel and its bias"
    ):
        model.fit(*data, verbose=0)
    np.testing.assert_equal(model.get_weights(), before)
    model.compile(LocoProp("auto"), "mse")
    model.fit(*data, verbose=0)


def test_float8_is_refused(data):
    """By any rate: its scales have new values in place of gradients."""
    model = keras_locoprop.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(16), layers.Dense(1)]
    )
    model.layers[0].quantize("float8")
    model.compile(LocoProp(), "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="quantized to float8"):
        model.fit(*data, verbose=0)
    np.testing.assert_equal(model.get_weights(), before)
    model.layers[0].trainable = False
    model.compile(LocoProp(), "mse")
    model.fit(*data, verbose=0)
