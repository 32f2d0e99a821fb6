"""What is peculiar to JAX: stateless steps, several devices."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from tests.own_steps import OwnStep

pytestmark = [
    pytest.mark.backends,
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="about JAX alone"
    ),
]

DATA_PARALLEL = """
import json
import sys

import jax
import keras
import numpy as np
from keras import layers

import keras_locoprop


def trained(arguments):
    keras.utils.set_random_seed(0)
    model = keras_locoprop.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "tanh"),
            layers.BatchNormalization(),
            layers.Dense(6, "sigmoid"),
        ]
    )
    model.compile(keras_locoprop.LocoProp(**arguments), "binary_crossentropy")
    x = np.random.default_rng(0).uniform(size=(96, 6)).astype("float32")
    model.fit(x, x, batch_size=32, epochs=3, shuffle=False, verbose=0)
    kernel = model.layers[0].kernel.value
    return len(kernel.devices()), model.get_weights()


assert len(jax.devices()) == 8
gaps = {}
for name, arguments in json.loads(sys.argv[1]).items():
    keras.distribution.set_distribution(None)
    devices, alone = trained(arguments)
    assert devices == 1
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    devices, together = trained(arguments)
    assert devices == 8
    gaps[name] = max(
        float(np.abs(a - b).max()) for a, b in zip(alone, together)
    )
print(json.dumps(gaps))
"""
RUNS = {
    "defaults": {},
    "all_rows": {"variant": "squared", "inner_batch_size": "all"},
    "automatic": {"learning_rate": "auto"},
}


@pytest.mark.slow
def test_data_parallel_training_is_that_on_one_device():
    devices = "--xla_force_host_platform_device_count=8"
    result = subprocess.run(
        [sys.executable, "-c", DATA_PARALLEL, json.dumps(RUNS)],
        env=os.environ | {"XLA_FLAGS": devices},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    gaps = json.loads(result.stdout.splitlines()[-1])
    assert gaps.keys() == RUNS.keys()
    for name, gap in gaps.items():
        assert gap < 1e-4, (name, gap)


def make_model():
    return keras_locoprop.Sequential(
        [keras.Input((4,)), layers.Dense(5, "tanh"), layers.Dense(2)]
    )


@pytest.mark.parametrize("learning_rate", [None, "auto"])
def test_the_step_takes_over_the_memory_of_the_state(learning_rate):
    model = make_model()
    model.compile(LocoProp(learning_rate), "mse")
    x = np.random.normal(size=(32, 4)).astype("float32")
    model.train_on_batch(x, x[:, :2])
    old = model.layers[0].kernel.value
    model.train_on_batch(x, x[:, :2])
    assert old.is_deleted()


class WithoutScope(keras_locoprop.Sequential):
    def train_step(self, state, data):
        def compute_loss():
            return keras.ops.mean(self(data[0]))

        return keras_locoprop.minimize(self, compute_loss, 1), state


def test_a_train_step_of_ones_own_needs_a_scope():
    model = WithoutScope([keras.Input((4,)), layers.Dense(2)])
    model.compile(LocoProp(), "mse")
    x = np.random.normal(size=(32, 4)).astype("float32")
    with pytest.raises(ValueError, match="within a `keras.StatelessScope`"):
        model.fit(x, x[:, :2], verbose=0)


class StockWithOwnStep(OwnStep, keras.Sequential):
    def take_own_step(self, data):
        examples = data[0].shape[0]
        return {
            "loss": keras_locoprop.minimize(
                self, lambda: keras.ops.mean(self(data[0])), examples
            )
        }


def test_a_stock_model_cannot_have_a_train_step_of_its_own():
    model = StockWithOwnStep([keras.Input((4,)), layers.Dense(2)])
    model.compile(LocoProp(), "mse")
    x = np.random.normal(size=(32, 4)).astype("float32")
    with pytest.raises(ValueError, match="must be a `keras_locoprop.Model`"):
        model.fit(x, x[:, :2], verbose=0)


def test_a_distribution_of_the_model_is_refused():
    devices = keras.distribution.list_devices()
    mesh = keras.distribution.DeviceMesh((1, 1), ("batch", "model"), devices)
    distribution = keras.distribution.ModelParallel(
        layout_map=keras.distribution.LayoutMap(mesh), batch_dim_name="batch"
    )
    model = make_model()
    model.compile(LocoProp(), "mse")
    x = np.random.normal(size=(32, 4)).astype("float32")
    with (
        distribution.scope(),
        pytest.raises(ValueError, match="one device, or with .*DataParallel"),
    ):
        model.fit(x, x[:, :2], verbose=0)


class Interrupted(layers.Layer):
    is_due = False

    def call(self, inputs):
        if self.is_due:
            raise KeyboardInterrupt
        return inputs


@pytest.mark.parametrize("arguments", [{}, {"use_ema": True}], ids=str)
def test_an_interruption_costs_no_weights(arguments):
    layer = Interrupted()
    model = keras_locoprop.Sequential(
        [keras.Input((4,)), layers.Dense(5, "tanh"), layer, layers.Dense(2)]
    )
    model.compile(LocoProp(**arguments), "mse")
    before = model.get_weights()
    x = np.random.normal(size=(32, 4)).astype("float32")
    # Not before the step: Keras calls the model to build its metrics.
    interrupting = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda *_, **__: setattr(layer, "is_due", True)
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, x[:, :2], verbose=0, callbacks=[interrupting])
    assert layer.is_due
    np.testing.assert_equal(model.get_weights(), before)


def test_inner_steps_outside_of_a_compiled_function_are_no_loop(monkeypatch):
    """A loop would be, anew in each step."""
    model = make_model()
    model.compile(LocoProp(inner_steps=8), "mse")
    x = np.random.normal(size=(32, 4)).astype("float32")

    def compute_loss():
        return keras.ops.mean(keras.ops.square(model(x) - x[:, :2]))

    def no_loop(*_):
        raise AssertionError

    monkeypatch.setattr("jax.lax.fori_loop", no_loop)
    keras_locoprop.minimize(model, compute_loss, 32)
    assert int(model.optimizer.iterations) == 1
    with pytest.raises(AssertionError):
        model.fit(x, x[:, :2], verbose=0)
