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


def with_own_train_step(base):
    class Own(base):
        def train_step(self, state, data):
            groups = (
                self.trainable_variables,
                self.non_trainable_variables,
                self.optimizer.variables,
                self.metrics_variables,
            )
            pairs = zip(sum(groups, []), sum(map(list, state), []))

            def compute_loss():
                error = self(data[0], training=True) - data[1]
                return keras.ops.mean(keras.ops.square(error))

            with keras.StatelessScope(list(pairs)) as scope:
                examples = data[0].shape[0]
                loss = keras_locoprop.minimize(self, compute_loss, examples)
            state = tuple(
                [scope.get_current_value(v) for v in group] for group in groups
            )
            return {"loss": loss}, state

    return Own([keras.Input((4,)), layers.Dense(5, "tanh"), layers.Dense(2)])


def test_a_stateless_train_step_of_ones_own():
    own, expected = with_own_train_step(keras_locoprop.Sequential), make_model()
    expected.set_weights(own.get_weights())
    x = np.random.normal(size=(32, 4)).astype("float32")
    for model in (own, expected):
        model.compile(LocoProp(), "mse")
        model.fit(x, x[:, :2], batch_size=8, shuffle=False, verbose=0)
    for one, other in zip(
        own.get_weights(), expected.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_stock_model_cannot_have_it():
    model = with_own_train_step(keras.Sequential)
    model.compile(LocoProp(), "mse")
    x = np.random.normal(size=(32, 4)).astype("float32")
    with pytest.raises(ValueError, match="must be a `keras_locoprop.Model`"):
        model.fit(x, x[:, :2], verbose=0)
