"""Weights that are used where no record shows it are never left behind."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop import coverage

pytestmark = pytest.mark.backends

FEATURES, EXAMPLES = 4, 32


@pytest.fixture
def x():
    return np.random.normal(size=(EXAMPLES, FEATURES)).astype("float32")


class Block(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(FEATURES, name="inside")

    def build(self, input_shape):
        self.dense.build(input_shape)


class InCondition(Block):
    def call(self, inputs):
        return ops.cond(
            ops.sum(inputs) > -1e9,
            lambda: self.dense(inputs),
            lambda: inputs,
        )


class OnceMoreInCondition(Block):
    def call(self, inputs):
        hidden = self.dense(inputs)
        return ops.cond(
            ops.sum(hidden) > -1e9,
            lambda: self.dense(hidden),
            lambda: hidden,
        )


class RegularizedInCondition(InCondition):
    """All of its weights would have a gradient if it were never called."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(
            FEATURES, use_bias=False, kernel_regularizer="l2", name="inside"
        )


class InOwnGraph(Block):
    def call(self, inputs):
        return compiled(lambda inputs: self.dense(inputs))(inputs)


def compiled(function):
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function)


blocks = pytest.mark.parametrize(
    "block",
    [InCondition, OnceMoreInCondition, RegularizedInCondition, InOwnGraph],
)
elsewhere_than_on_torch = pytest.mark.not_on(
    "torch", reason="it runs conditions as they are written"
)


class TiedDecoder(layers.Layer):
    def __init__(self, dense, **kwargs):
        super().__init__(**kwargs)
        self.dense = dense

    def call(self, inputs):
        return ops.matmul(inputs, ops.transpose(self.dense.kernel))


def make_model(block, **arguments):
    inputs = keras.Input((FEATURES,))
    outputs = layers.Dense(FEATURES)(block(inputs))
    model = keras_locoprop.Model(inputs, outputs)
    model.compile(optimizer=LocoProp(**arguments), loss="mse")
    return model


@blocks
@elsewhere_than_on_torch
def test_a_layer_that_cannot_be_recorded_gets_an_error(block, x):
    model = make_model(block())
    before = model.get_weights()
    with pytest.raises(ValueError, match="`exclude` must name .*inside"):
        model.fit(x, x, verbose=0)
    np.testing.assert_equal(model.get_weights(), before)


@blocks
@elsewhere_than_on_torch
def test_excluded_it_trains(block, x):
    model = make_model(block(), exclude=["inside"])
    before = model.get_weights()
    model.fit(x, x, verbose=0)
    assert np.all(model.get_weights()[0] != before[0])


def test_a_layer_that_another_one_holds_goes_to_the_fallback(x):
    encoder = layers.Dense(2, "tanh", name="encoder")
    inputs = keras.Input((FEATURES,))
    decoder = TiedDecoder(encoder, name="decoder")
    # Only the decoder's use of the kernel has a gradient.
    outputs = decoder(layers.Lambda(ops.stop_gradient)(encoder(inputs)))
    outputs = layers.Dense(FEATURES)(outputs)
    model = keras_locoprop.Model(inputs, outputs)
    row, _ = coverage(model)
    assert row.trained_by == "fallback"
    assert "held by several layers" in row.reason
    model.compile(optimizer=LocoProp(), loss="mse")
    before = encoder.kernel.numpy()
    model.fit(x, x, verbose=0)
    assert np.all(encoder.kernel.numpy() != before)


def test_layers_without_a_gradient_do_not_count(x):
    """Those that most of the network is in stand still, and no other."""
    inputs = keras.Input((FEATURES,))
    stopped = inputs
    for _ in range(3):
        stopped = layers.Dense(FEATURES, "tanh")(stopped)
    last = layers.Dense(FEATURES)
    outputs = last(layers.Lambda(ops.stop_gradient)(stopped))
    model = keras_locoprop.Model(inputs, outputs)
    model.compile(optimizer=LocoProp(), loss="mse")
    before = keras.ops.convert_to_numpy(last.kernel)
    losses = model.fit(x, x, epochs=3, verbose=0).history["loss"]
    assert np.all(keras.ops.convert_to_numpy(last.kernel) != before)
    assert losses[-1] < losses[0]


def test_a_layer_that_is_never_called_does_no_harm(x):
    class Unused(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.used = layers.Dense(FEATURES)
            self.unused = layers.Dense(3)

        def call(self, inputs):
            return self.used(inputs)

    model = Unused()
    model.compile(optimizer=LocoProp(), loss="mse")
    losses = model.fit(x, 0 * x, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_loss_without_a_gradient_gets_an_error(x):
    def errors(y, outputs):
        return ops.cast(ops.argmax(outputs, -1) != ops.argmax(y, -1), "float32")

    model = keras_locoprop.Sequential([keras.Input((FEATURES,))])
    model.add(layers.Dense(3))
    model.compile(optimizer=LocoProp(), loss=errors)
    before = model.get_weights()
    with pytest.raises(ValueError, match="`loss` must depend on .* of the 2 w"):
        model.fit(x, x[:, :3], verbose=0)
    np.testing.assert_equal(model.get_weights(), before)


def test_nested_time_distributed_layers(x):
    inputs = keras.Input((2, 2, FEATURES))
    inner = layers.TimeDistributed(layers.Dense(3, "tanh"))
    model = keras_locoprop.Model(inputs, layers.TimeDistributed(inner)(inputs))
    [row] = coverage(model)
    assert (row.activation, row.trained_by) == ("tanh", "matching loss")
    x = np.tile(x[:, None, None], (1, 2, 2, 1))
    model.compile(optimizer=LocoProp(), loss="mse")
    model.fit(x, x[..., :3], verbose=0)


def test_part_of_the_batch_with_weights(x):
    class Partly(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.first = layers.Dense(FEATURES, "tanh")
            self.second = layers.Dense(FEATURES)

        def call(self, inputs):
            hidden = self.first(inputs)
            return hidden + ops.mean(self.second(hidden[:5]))

    model = Partly()
    model.compile(optimizer=LocoProp(), loss="mse")
    model.fit(x, x, sample_weight=np.arange(EXAMPLES) % 2, verbose=0)
    assert np.all(np.isfinite(model.get_weights()[0]))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_chases_no_rounding(policy, x):
    """The first and the second inner step see the same residual at the start.

    At a rate of nearly zero the weights stay where they are, so that each of
    two steps moves them by the same.
    """

    def moved(steps):
        keras.utils.set_random_seed(0)
        model = keras_locoprop.Sequential(
            [
                keras.Input((FEATURES,)),
                layers.Dense(32, "tanh", dtype=policy),
                layers.Dense(2, dtype="float32"),
            ]
        )
        optimizer = LocoProp(
            inner_optimizer=keras.optimizers.SGD(1e-2),
            inner_steps=steps,
            inner_decay=1.0,
        )
        model.compile(optimizer=optimizer, loss="mse")
        before = model.get_weights()[0]
        model.fit(x, x[:, :2], batch_size=EXAMPLES, verbose=0)
        return model.get_weights()[0] - before

    once, twice = moved(1), moved(2)
    error = np.linalg.norm(twice - 2 * once) / np.linalg.norm(once)
    assert error < 0.05


def test_double_precision_layers_in_a_single_precision_model(x):
    inputs = keras.Input((FEATURES,))
    hidden = layers.Dense(4, "tanh", dtype="float64")(inputs)
    model = keras_locoprop.Model(inputs, layers.Dense(4)(hidden))
    model.compile(optimizer=LocoProp(), loss="mse")
    losses = model.fit(x, x, epochs=3, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))


def test_a_regularizer_without_effect(x):
    inputs = keras.Input((FEATURES,))
    regularizer = keras.regularizers.L1L2(0.0, 0.0)
    dense = layers.Dense(4, kernel_regularizer=regularizer)
    model = keras_locoprop.Model(inputs, dense(inputs))
    model.compile(optimizer=LocoProp(), loss="mse")
    model.fit(x, x, verbose=0)


def test_a_call_of_ones_own_stays(x):
    dense = layers.Dense(4)
    dense.build((None, FEATURES))
    own_call = dense.call
    vars(dense)["call"] = own_call
    inputs = keras.Input((FEATURES,))
    model = keras_locoprop.Model(inputs, dense(inputs))
    model.compile(optimizer=LocoProp(), loss="mse")
    model.fit(x, x, verbose=0)
    assert vars(dense)["call"] is own_call
