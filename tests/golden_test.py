"""Eight recorded runs of the authors' code, met by the package and the oracle.

Six batches of 16 rows on a 9-8-6-3-6-8-9 autoencoder with a linear code and
sigmoid outputs, five inner steps on all rows. The authors' code sums over rows
where this package takes means, and applies its γ to the gradient of the mean
loss; the constants below are theirs, translated.
"""

import os
import pathlib

import keras
import numpy as np
import pytest

import keras_locoprop
from tests import oracle
from tests import oracle_functions
from tests import twins

SHARED = os.environ.get(
    "KERAS_LOCOPROP_SHARED", pathlib.Path(__file__).parents[2] / "shared"
)
GOLDEN = pathlib.Path(SHARED) / "golden"
NAMES = [
    f"{optimizer}_{variant}_{activation}"
    for optimizer in ("sgd", "rmsprop")
    for variant in ("M", "S")
    for activation in ("tanh", "relu")
]
pytestmark = [
    pytest.mark.backends,
    pytest.mark.skipif(not GOLDEN.is_dir(), reason="no recorded runs here"),
]

ROWS = 16
VARIANTS = {"M": "matching", "S": "squared"}
SETTINGS = {
    "activation_learning_rate": 10 / ROWS,
    "gradient_scaling": "absolute",
    "learning_rate_scaling": "absolute",
    "inner_steps": 5,
    "inner_batch_size": "all",
}
LEARNING_RATES = {"sgd": 1e-2 * ROWS, "rmsprop": 1e-3}
# A mean square of means over rows is 1/256 of that of sums, at the start (one,
# in TensorFlow 1) and in epsilon.
RMSPROP = {"momentum": 0.9, "epsilon": 1e-5 / ROWS**2}
INITIAL_MEAN_SQUARE = 1.0 / ROWS**2


class Golden:
    """A recorded run; arrays in Keras's order: kernel, bias, kernel, bias, …"""

    def __init__(self, name):
        self.optimizer, variant, hidden = name.split("_")
        self.activations = [hidden, hidden, "linear", hidden, hidden, "sigmoid"]
        self.settings = SETTINGS | {
            "variant": VARIANTS[variant],
            "learning_rate": LEARNING_RATES[self.optimizer],
        }
        with np.load(GOLDEN / f"{name}.npz") as arrays:
            self.batches = arrays["data"]
            self.losses = arrays["losses"]
            self.before, self.after = (
                [
                    arrays[f"{kind}{when}_{layer}"]
                    for layer in range(len(self.activations))
                    for kind in "wb"
                ]
                for when in (0, 1)
            )

    def assert_met(self, weights, losses):
        np.testing.assert_allclose(losses, self.losses, rtol=0, atol=1e-5)
        for actual, expected in zip(weights, self.after, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


@pytest.fixture(params=NAMES)
def golden(request):
    return Golden(request.param)


def make_model(golden):
    """A compiled model at the recorded initial weights and slots."""
    inner_optimizer = (
        keras.optimizers.SGD()
        if golden.optimizer == "sgd"
        else keras.optimizers.RMSprop(**RMSPROP)
    )
    model = keras_locoprop.Sequential(
        [keras.Input(golden.batches.shape[2:])]
        + [
            keras.layers.Dense(len(bias), activation=activation)
            for bias, activation in zip(
                golden.before[1::2], golden.activations, strict=True
            )
        ]
    )
    model.set_weights(golden.before)
    model.compile(
        optimizer=keras_locoprop.LocoProp(
            inner_optimizer=inner_optimizer, **golden.settings
        ),
        loss=twins.summed_binary_crossentropy,
    )
    # The optimizer gets to know the model when its train function is made.
    model.make_train_function()
    model.optimizer.build(model.trainable_variables)
    for variable in model.optimizer.variables:
        if "velocity" in variable.path:
            variable.assign(keras.ops.full(variable.shape, INITIAL_MEAN_SQUARE))
    return model


class LossesBeforeSteps(keras.callbacks.Callback):
    """Keras reports the mean over an epoch's batches so far."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs):
        self.losses.append(logs["loss"] * (batch + 1) - sum(self.losses))


def test_package(golden):
    model = make_model(golden)
    record = LossesBeforeSteps()
    rows = np.concatenate(golden.batches)
    model.fit(
        rows,
        rows,
        batch_size=ROWS,
        shuffle=False,
        verbose=0,
        callbacks=[record],
    )
    golden.assert_met(model.get_weights(), record.losses)


def test_oracle(golden):
    optimizer = (
        oracle_functions.SGD()
        if golden.optimizer == "sgd"
        else oracle_functions.RMSprop(
            initial_mean_square=INITIAL_MEAN_SQUARE, **RMSPROP
        )
    )
    layers = [
        oracle.DenseLayer(
            kernel.astype(np.float64), bias.astype(np.float64), activation
        )
        for kernel, bias, activation in zip(
            golden.before[::2],
            golden.before[1::2],
            golden.activations,
            strict=True,
        )
    ]
    rule = oracle.LocoProp(
        layers,
        loss="summed_binary_crossentropy",
        optimizer=optimizer,
        **golden.settings,
    )
    losses = [rule.train_on_batch(batch, batch) for batch in golden.batches]
    golden.assert_met(oracle.weights_of(layers), losses)
