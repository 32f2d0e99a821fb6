"""What a model is called for before its first step leaves no trace."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop import coverage

pytestmark = pytest.mark.backends

BACKEND = keras.backend.backend()
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


@pytest.fixture
def data():
    x = np.random.normal(size=(EXAMPLES, FEATURES)).astype("float32")
    return x, x[:, :1]


@pytest.mark.parametrize("is_complete", [True, False])
@pytest.mark.parametrize("make", [of_graph, Subclassed])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_each_step_is_one_call(make, is_complete, run_eagerly, data):
    counting = Counting(is_complete)
    model = make(counting)
    model.compile(LocoProp(), "mse", run_eagerly=run_eagerly)
    model.fit(*data, batch_size=BATCH, epochs=2, verbose=0)
    is_built_by_a_call = (
        run_eagerly and make is Subclassed and BACKEND == "tensorflow"
    )
    steps = 2 * EXAMPLES / BATCH
    assert float(counting.calls) == steps + is_built_by_a_call
    rows = {row.layer.split("/")[-1]: row for row in coverage(model)}
    assert rows["inside"].activation == f"ReLU ({counting.activation.name})"


@pytest.mark.not_on(
    "jax", "torch", reason="Keras builds models in a stateless scope there"
)
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_variables_of_any_kind(run_eagerly, data):
    """Those of a recurrent layer with a state come with a value."""
    model = keras_locoprop.Sequential(
        [layers.Reshape((FEATURES, 1)), layers.LSTM(3, stateful=True)]
    )
    model.add(layers.Dense(1))
    model.compile(LocoProp(), "mse", run_eagerly=run_eagerly)
    model.fit(*data, batch_size=BATCH, verbose=0)


@pytest.mark.not_on(
    "jax", "torch", reason="Keras builds models without `training` there"
)
@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": 1e-3},
        {"learning_rate": "auto"},
        {"solver": "exact"},
        {"solver": "exact", "output_scaling": "unit"},
    ],
    ids=str,
)
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_layer_that_is_called_in_training_alone(run_eagerly, arguments, data):
    class WithAuxiliaryHead(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(FEATURES, "tanh")
            self.auxiliary, self.head = layers.Dense(1), layers.Dense(1)

        def call(self, inputs, training=False):
            hidden = self.hidden(inputs)
            if training:
                error = self.auxiliary(hidden) - inputs[:, :1]
                self.add_loss(keras.ops.mean(keras.ops.square(error)))
            return self.head(hidden)

    model = WithAuxiliaryHead()
    model.compile(LocoProp(**arguments), "mse", run_eagerly=run_eagerly)
    model.fit(*data, batch_size=BATCH, verbose=0)
    before = keras.ops.convert_to_numpy(model.auxiliary.kernel)
    model.fit(*data, batch_size=BATCH, verbose=0)
    after = keras.ops.convert_to_numpy(model.auxiliary.kernel)
    assert np.all(after != before)
    assert np.max(np.abs(after)) < 10.0


@pytest.mark.not_on(
    "jax", "torch", reason="Keras builds models without `training` there"
)
def test_the_outputs_are_those_in_training(data):
    class WithAuxiliaryOutput(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.auxiliary = layers.Dense(3, name="auxiliary")
            self.head = layers.Dense(3, name="head")

        def call(self, inputs, training=False):
            main = self.head(inputs)
            return [main, self.auxiliary(inputs)] if training else main

    x, _ = data
    model = WithAuxiliaryOutput()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(LocoProp(), [loss, loss])
    model.fit(x, [np.zeros(EXAMPLES), np.ones(EXAMPLES)], verbose=0)
    assert {row.activation for row in coverage(model)} == {
        "softmax (of the loss)"
    }


def test_an_activation_layer_in_another_precision(data):
    class InTwoPrecisions(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, dtype="mixed_bfloat16")
            self.activation = layers.Activation("softmax", name="last")

        def call(self, inputs):
            # Not every framework adds numbers of two precisions.
            return self.activation(self.dense(inputs)) + 0.0 * inputs[:, :3]

    x, _ = data
    model = InTwoPrecisions()
    model.compile(LocoProp(), "sparse_categorical_crossentropy")
    model.fit(x, np.zeros(EXAMPLES), verbose=0)
    [row] = coverage(model)
    assert row.activation == "softmax (last)"
    assert keras.backend.standardize_dtype(model(x).dtype) == "float32"


def test_a_call_that_reads_its_losses(data):
    class Penalized(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, kernel_regularizer="l2")
            self.penalty = keras.metrics.Mean()

        def call(self, inputs):
            outputs = self.dense(inputs)
            self.penalty.update_state(sum(self.dense.losses))
            return outputs

    model = Penalized()
    model.compile(LocoProp(), "mse")
    model.fit(*data, batch_size=BATCH, verbose=0)


class Growing(keras_locoprop.Model):
    """Has a layer that it calls later only, and names one as Keras does."""

    def __init__(self):
        super().__init__()
        self.is_deep = False
        self.first = layers.Dense(FEATURES, "tanh", name="first")
        self.later = layers.Dense(FEATURES, name="later")
        self.activation = layers.ReLU(name="relu")
        self.outputs = layers.Dense(1, name="outputs")

    def call(self, inputs):
        hidden = self.first(inputs)
        if self.is_deep:
            hidden = self.activation(self.later(hidden))
        return self.outputs(hidden)


@pytest.mark.parametrize("rate", [1e-3, "auto"])
def test_a_model_that_has_changed_is_compiled_anew(rate, data):
    model = Growing()
    model.compile(LocoProp(rate), "mse")
    model.fit(*data, batch_size=BATCH, verbose=0)
    model.is_deep = True
    model.compile(LocoProp(rate), "mse")
    model.fit(*data, batch_size=BATCH, verbose=0)
    rows = {row.layer: row for row in coverage(model)}
    assert rows["later"].activation == "ReLU (relu)"
