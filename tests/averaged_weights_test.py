"""Weights at a running mean of those that are trained."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from tests.own_steps import OwnStep
from tests.small_models import CLASSES
from tests.small_models import FEATURES
from tests.small_models import MODELS
from tests.small_models import Subclassed
from tests.small_models import assert_same
from tests.small_models import compiled
from tests.small_models import make_data
from tests.small_models import weights_after_fit

pytestmark = pytest.mark.backends

MOMENTUM = 0.75


class Steps(keras.callbacks.Callback):
    """Keeps all weights before training and after every batch."""

    def on_train_begin(self, logs=None):
        self.weights = [self.model.get_weights()]

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.get_weights())


def trajectory(make, momentum, **options):
    model = compiled(make, LocoProp(weight_averaging=momentum), **options)
    if not model.built:
        model(make_data()[0])
    steps = Steps()
    weights_after_fit(model, make_data(), shuffle=False, callbacks=[steps])
    return steps.weights


def running_means(weights, momentum):
    """By the definition, in double precision."""
    means = [[w.astype("float64") for w in weights[0]]]
    for step, leading in enumerate(weights[1:]):
        kept = min(momentum, step / (step + 20))
        means.append(
            [
                kept * mean + (1 - kept) * lead
                for mean, lead in zip(means[-1], leading)
            ]
        )
    return means


@pytest.mark.parametrize(
    "name", ["sequential_built", "functional", "prepared_subclassed"]
)
def test_running_mean_of_the_steps_without(name):
    make = MODELS[name]
    leading = trajectory(make, 0.0)
    means = trajectory(make, MOMENTUM)
    assert_same(means[-1], running_means(leading, MOMENTUM)[-1])
    assert np.max(np.abs(means[-1][0] - leading[-1][0])) > 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"run_eagerly": True},
        pytest.param(
            {"steps_per_execution": 3},
            marks=pytest.mark.not_on("torch", reason="Keras has it not"),
        ),
    ],
    ids=str,
)
def test_however_steps_are_run(options):
    make = MODELS["sequential_built"]
    usual = weights_after_fit(compiled(make), make_data())
    assert_same(
        weights_after_fit(compiled(make, **options), make_data()), usual
    )


def test_a_model_that_its_first_step_builds():
    built, unbuilt = (
        weights_after_fit(compiled(MODELS[name]), make_data(), shuffle=False)
        for name in ("sequential_built", "sequential")
    )
    assert_same(unbuilt, built)


def test_moving_statistics_are_those_of_the_leading_weights():
    model, without = (
        compiled(Subclassed, LocoProp(weight_averaging=momentum))
        for momentum in (MOMENTUM, 0.0)
    )
    weights_after_fit(model, make_data(), shuffle=False)
    weights_after_fit(without, make_data(), shuffle=False)
    for one, other in zip(
        model.norm.non_trainable_variables,
        without.norm.non_trainable_variables,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_weights_that_are_set_are_where_training_goes_on():
    model = compiled(MODELS["sequential_built"])
    weights_after_fit(model, make_data())
    model.set_weights([100 + 0 * w for w in model.get_weights()])
    weights_after_fit(model, make_data(), epochs=1)
    for weight in model.get_weights():
        np.testing.assert_allclose(weight, 100, atol=1)


def test_two_fits_are_one_of_as_many_epochs():
    make = MODELS["sequential_built"]
    once, twice = compiled(make), compiled(make)
    weights_after_fit(once, make_data(), shuffle=False, epochs=2)
    for _ in range(2):
        weights_after_fit(twice, make_data(), shuffle=False, epochs=1)
    for one, other in zip(once.get_weights(), twice.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_a_step_that_raises_leaves_the_weights():
    class Raises(Exception):
        pass

    def loss(y, prediction):
        if raising:
            raise Raises
        return keras.losses.mean_squared_error(y, prediction)

    raising = False
    model = keras_locoprop.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(LocoProp(), loss, run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(32, 4))
    model.fit(x, x[:, :2], verbose=0)
    before, raising = model.get_weights(), True
    with pytest.raises(Raises):
        model.fit(x, x[:, :2], verbose=0)
    for one, other in zip(model.get_weights(), before):
        np.testing.assert_array_equal(one, other)


@pytest.mark.not_on("jax", reason="takes the last label for any beyond it")
def test_a_label_out_of_range_leaves_the_weights():
    x, y = make_data()
    model = compiled(MODELS["sequential_built"])
    weights_after_fit(model, (x, y))
    before = model.get_weights()
    # Some kernels raise, some return what is not a number.
    with contextlib.suppress(Exception):
        model.fit(x, y + 1000, batch_size=16, verbose=0)
    for one, other in zip(model.get_weights(), before):
        np.testing.assert_array_equal(one, other)


def test_weights_with_a_constraint_lead():
    def make():
        return keras_locoprop.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(3, "softmax", kernel_constraint="unit_norm"),
            ]
        )

    leading, means = trajectory(make, 0.0)[-1], trajectory(make, MOMENTUM)[-1]
    np.testing.assert_allclose(means[0], leading[0], rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(means[1] - leading[1])) > 1e-4
    np.testing.assert_allclose(np.linalg.norm(means[0], axis=0), 1, rtol=1e-5)


class Own(OwnStep, keras_locoprop.Model):
    def take_own_step(self, data):
        x, y = data

        def compute_loss():
            losses = keras.losses.sparse_categorical_crossentropy(y, self(x))
            return keras.ops.mean(losses)

        examples = keras.ops.shape(x)[0]
        keras_locoprop.minimize(self, compute_loss, examples)
        return self.compute_metrics(x, y, self(x))


def test_a_train_step_of_ones_own():
    def make():
        inputs = keras.Input((FEATURES,))
        outputs = layers.Dense(CLASSES, "softmax")(inputs)
        return Own(inputs, outputs)

    leading, means = trajectory(make, 0.0), trajectory(make, MOMENTUM)
    assert_same(means[-1], running_means(leading, MOMENTUM)[-1])


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({}, 0.98),
        ({"weight_averaging": 0.5}, 0.5),
        ({"inner_optimizer": "rmsprop"}, 0.0),
        ({"learning_rate": "auto"}, 0.0),
        ({"solver": "exact"}, 0.0),
        ({"use_ema": True}, 0.0),
        ({"learning_rate": "auto", "weight_averaging": 0.5}, 0.5),
    ],
    ids=str,
)
def test_default(arguments, expected):
    optimizer = LocoProp(**arguments)
    assert optimizer.weight_averaging == expected
    again = LocoProp.from_config(optimizer.get_config())
    assert again.weight_averaging == expected


def test_the_papers_form_does_not_average():
    assert LocoProp.paper().weight_averaging == 0.0


def test_with_the_automatic_step():
    optimizer = LocoProp("auto", weight_averaging=MOMENTUM)
    model = compiled(MODELS["sequential_built"], optimizer)
    without = compiled(MODELS["sequential_built"], LocoProp("auto"))
    steps = Steps(), Steps()
    for each, callback in zip((model, without), steps):
        weights_after_fit(
            each, make_data(), shuffle=False, callbacks=[callback]
        )
    assert_same(
        steps[0].weights[-1],
        running_means(steps[1].weights, MOMENTUM)[-1],
        tolerance=1e-3,
    )


def test_a_first_step_that_raises_leaves_the_weights():
    """Even of a model that it has just built."""
    x, y = make_data()
    model = compiled(MODELS["sequential"], run_eagerly=True)
    with pytest.raises(Exception, match="."):
        model.fit(x, y[:, None, None] * np.ones((1, 5, 5)), verbose=0)
    built = compiled(MODELS["sequential_built"])
    assert_same(model.get_weights(), built.get_weights())


@pytest.mark.parametrize("eager", [False, True])
def test_the_error_of_a_first_step_comes_through(eager):
    class Raises(Exception):
        pass

    def loss(y, prediction):
        raise Raises

    model = keras_locoprop.Sequential([layers.Dense(2)])
    model.compile(LocoProp(), loss, run_eagerly=eager)
    with pytest.raises(Raises):
        model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)


@pytest.mark.not_on(
    "tensorflow", "jax", reason="assigns in one function, or in a scope"
)
@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 12])
def test_interrupted_in_between(count, monkeypatch):
    model = compiled(MODELS["sequential_built"], run_eagerly=True)
    weights_after_fit(model, make_data())
    before = model.get_weights()
    calls = []
    averaged = model.optimizer.state.averaged_weights
    assign = type(model.weights[0]).assign

    def interrupted(variable, value):
        if averaged.is_leading and np.ndim(value):
            calls.append(variable)
            if len(calls) == count:
                raise KeyboardInterrupt
        return assign(variable, value)

    monkeypatch.setattr(type(model.weights[0]), "assign", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*make_data(), batch_size=16, verbose=0)
    monkeypatch.undo()
    for one, other in zip(model.get_weights(), before):
        np.testing.assert_allclose(one, other, atol=0.05)


def test_a_frozen_layer_stays():
    x, y = make_data()
    model = compiled(MODELS["sequential_built"])
    weights_after_fit(model, (x, y))
    model.layers[0].trainable = False
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    before = model.layers[0].get_weights()
    weights_after_fit(model, (x, y))
    for one, other in zip(model.layers[0].get_weights(), before):
        np.testing.assert_array_equal(one, other)
