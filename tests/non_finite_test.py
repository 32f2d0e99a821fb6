"""A batch that is not finite changes nothing, and training goes on."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp

pytestmark = pytest.mark.backends


def make_model(learning_rate=None, **options):
    model = keras_locoprop.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, "tanh"),
            layers.BatchNormalization(),
            layers.Dense(2),
        ]
    )
    model.compile(LocoProp(learning_rate), "mse", **options)
    return model


def state_of(model):
    counters = {"skipped_steps", "loss"}
    return [
        np.array(variable)
        for variable in model.weights + model.optimizer.variables
        if variable.name not in counters
    ]


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 4)).astype("float32")
    return x, x[:, :2].copy()


def test_averages_of_no_step_are_no_weights(data):
    model = make_model()
    model.compile(LocoProp(use_ema=True), "mse")
    before = model.get_weights()
    x, y = data
    model.fit(np.full_like(x, np.nan), y, verbose=0)
    assert int(model.optimizer.skipped_steps) == 2
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.fit(x, y, verbose=0)
    assert np.any(before[0] != model.get_weights()[0])
    # Nor are those of weights that were replaced since.
    model.set_weights(before)
    model.fit(np.full_like(x, np.nan), y, verbose=0)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # A training that begins at the first step once more has its averages.
    model.optimizer.iterations.assign(0)
    model.fit(x, y, verbose=0)
    averages = model.optimizer.variables
    first = model.trainable_weights[0]
    [average] = [
        v
        for v in averages
        if v.path.endswith("kernel_average") and v.shape == first.shape
    ]
    np.testing.assert_array_equal(first, average)


def not_a_number_in_inputs(x, y):
    x[3, 1] = np.nan


def not_a_number_in_targets(x, y):
    y[3, 1] = np.nan


def infinity_in_inputs(x, y):
    x[3, 1] = np.inf


@pytest.mark.parametrize(
    "spoil",
    [
        not_a_number_in_inputs,
        not_a_number_in_targets,
        infinity_in_inputs,
    ],
)
@pytest.mark.parametrize(
    ("learning_rate", "eager"), [(None, False), (None, True), ("auto", False)]
)
def test_nothing_changes(learning_rate, spoil, eager, data):
    model = make_model(learning_rate, run_eagerly=eager)
    model.train_on_batch(*data)
    before = state_of(model)
    x, y = (array.copy() for array in data)
    spoil(x, y)
    model.train_on_batch(x, y)
    for old, new in zip(before, state_of(model), strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(model.optimizer.skipped_steps) == 1
    model.train_on_batch(*data)
    assert int(model.optimizer.skipped_steps) == 1
    assert np.any(before[0] != model.get_weights()[0])


def test_finite_loss_that_overflows_the_slots(data):
    x, y = data
    model = keras_locoprop.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(LocoProp(), "mae")
    model.train_on_batch(x, y)
    before = state_of(model)
    x[3, 1] = 1e25
    assert np.isfinite(model.train_on_batch(x, y))
    for old, new in zip(before, state_of(model), strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(model.optimizer.skipped_steps) == 1


def test_good_batches_of_an_epoch_count(data):
    x, y = data
    x[12, 0] = np.nan
    model = make_model()
    model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    assert int(model.optimizer.skipped_steps) == 3
    assert int(model.optimizer.iterations) == 9
    assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())


def test_a_batch_without_gradient_moves_nothing(data):
    x, _ = data
    model = make_model()
    model.compile(LocoProp(), lambda y, prediction: 0.0 * prediction)
    before = [np.array(weight) for weight in model.trainable_weights]
    model.train_on_batch(x, x[:, :2])
    for old, new in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_allclose(old, new, atol=1e-6)
    assert int(model.optimizer.skipped_steps) == 0


@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
def test_empty_inputs(eager, data):
    x, y = data
    model = make_model(run_eagerly=eager)
    before = state_of(model)
    with pytest.raises(ValueError, match="`x` must hold at least one example"):
        model.train_on_batch(x[:0], y[:0])
    for old, new in zip(before, state_of(model)[: len(before)], strict=True):
        np.testing.assert_array_equal(old, new)
