"""What is peculiar to TensorFlow: fused updates, graphs within graphs."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_locoprop
from keras_locoprop import backend


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.9},
        {"momentum": 0.99, "rho": 0.5, "epsilon": 1e-2},
        {"momentum": 0.5, "clipnorm": 0.1, "weight_decay": 0.1},
    ],
)
def test_fused_update_is_the_optimizer_s_own(settings, dtype):
    plain = keras.optimizers.RMSprop(0.1, **settings)
    fused_class, is_fused = backend.update_class(plain)
    assert is_fused
    fused = fused_class.from_config(plain.get_config())
    start = np.random.normal(size=(4, 3))
    weights = [keras.Variable(start, dtype=dtype) for _ in range(2)]
    for _ in range(5):
        gradient = tf.constant(np.random.normal(size=(4, 3)), dtype)
        for optimizer, weight in zip((plain, fused), weights, strict=True):
            optimizer.apply([gradient], [weight])
    assert np.max(np.abs(np.asarray(weights[0]) - start)) > 0.1
    np.testing.assert_allclose(*weights, rtol=1e-5, atol=1e-6)
    for one, other in zip(plain.variables, fused.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.RMSprop(),
        keras.optimizers.RMSprop(momentum=0.9, centered=True),
        keras.optimizers.Adam(),
        type("Own", (keras.optimizers.RMSprop,), {})(momentum=0.9),
    ],
    ids=["without momentum", "centered", "adam", "subclass"],
)
def test_what_has_no_fused_update(optimizer):
    assert backend.update_class(optimizer) == (type(optimizer), False)


def test_snapshot_stays_when_the_variable_moves():
    @tf.function
    def difference():
        before = backend.snapshot(variable)
        variable.assign_add(np.ones((2, 2), "float32"))
        tf.raw_ops.AssignAddVariableOp(
            resource=variable.value.handle, value=tf.ones((2, 2))
        )
        return variable - before

    variable = keras.Variable(np.zeros((2, 2), "float32"))
    np.testing.assert_array_equal(difference(), np.full((2, 2), 2.0))


def test_compiled_function_gives_the_same():
    variable = keras.Variable([1.0, 2.0])

    def double(rate):
        variable.assign(variable * rate)

    @tf.function
    def step():
        compiled = backend.compiled(double)
        compiled(tf.constant(2.0))
        compiled(tf.constant(3.0))

    step()
    np.testing.assert_allclose(variable, [6.0, 12.0])


def make_model():
    model = keras_locoprop.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, "tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras_locoprop.LocoProp(), "mse")
    return model


class Two(tf.distribute.OneDeviceStrategy):
    num_replicas_in_sync = 2


@pytest.mark.parametrize("within_scope", [True, False])
@pytest.mark.parametrize(
    ("strategy", "received"),
    [
        (lambda: Two("/cpu:0"), "Two with 2 replicas"),
        (
            lambda: tf.distribute.MirroredStrategy(["/cpu:0"]),
            "MirroredStrategy with 1 replica",
        ),
        (
            lambda: tf.distribute.experimental.CentralStorageStrategy(
                ["/cpu:0"], "/cpu:0"
            ),
            "CentralStorageStrategy.* with 1 replica",
        ),
    ],
    ids=["several_replicas", "synchronized", "central"],
)
def test_other_strategies_are_refused(strategy, received, within_scope):
    scope = strategy().scope
    with scope():
        model = make_model()
    before = model.get_weights()
    x = np.random.normal(size=(16, 4)).astype("float32")
    with (
        scope() if within_scope else contextlib.nullcontext(),
        pytest.raises(ValueError, match=f"one device at a time.*{received}"),
    ):
        model.fit(x, x[:, :1], verbose=0)
    np.testing.assert_equal(model.get_weights(), before)


@pytest.mark.parametrize("within_scope", [True, False])
def test_a_strategy_of_one_device(within_scope):
    x = np.random.normal(size=(64, 4)).astype("float32")
    scope = tf.distribute.OneDeviceStrategy("/cpu:0").scope

    def train(scope_of_model, scope_of_fit):
        keras.utils.set_random_seed(0)
        with scope_of_model():
            model = make_model()
        with scope_of_fit():
            model.fit(x, x[:, :1], epochs=3, shuffle=False, verbose=0)
        return model.get_weights()

    none = contextlib.nullcontext
    weights = train(scope, scope if within_scope else none)
    for one, other in zip(weights, train(none, none), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_variable_that_keras_does_not_know_is_not_moved_twice():
    class Counting(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.calls = tf.Variable(0.0, trainable=False)
            self.dense = keras.layers.Dense(1)

        def build(self, shape):
            self.dense.build(shape)

        def call(self, inputs):
            self.calls.assign_add(1.0)
            return self.dense(inputs)

    counting = Counting()
    model = keras_locoprop.Sequential([keras.Input((4,)), counting])
    model.compile(keras_locoprop.LocoProp(), "mse")
    x = np.random.normal(size=(16, 4)).astype("float32")
    model.fit(x, x[:, :1], batch_size=4, verbose=0)
    assert float(counting.calls) == 4
