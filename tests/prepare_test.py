"""What LocoProp takes on, what it leaves to the fallback, what it refuses."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from tests.small_models import CLASSES
from tests.small_models import FEATURES
from tests.small_models import MODELS
from tests.small_models import Subclassed
from tests.small_models import UsedFunctionally
from tests.small_models import assert_same
from tests.small_models import compiled
from tests.small_models import functional
from tests.small_models import make_data
from tests.small_models import stack
from tests.small_models import weights_after_fit

pytestmark = pytest.mark.backends


@pytest.fixture
def data():
    return make_data()


def test_fallback_trains_what_has_no_local_problem(data):
    def train(fallback):
        optimizer = LocoProp(fallback_optimizer=fallback)
        model = compiled(MODELS["subclassed"], optimizer)
        model.build((None, FEATURES))
        model.train_on_batch(*data)
        return model

    fast = train(keras.optimizers.SGD(1.0))
    slow = train(keras.optimizers.SGD(0.5))
    moved = [np.asarray(m.norm.gamma) - 1.0 for m in (fast, slow)]
    assert np.max(np.abs(moved[0])) > 1e-4
    np.testing.assert_allclose(moved[0], 2 * moved[1], rtol=1e-3)
    assert_same([fast.hidden.kernel], [slow.hidden.kernel])


def test_nothing_to_train_locally_warns_and_trains(data):
    model = keras_locoprop.Sequential(
        [layers.Dense(CLASSES, "softmax", name="only")]
    )
    model.compile(LocoProp(exclude=["only"]), "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="trained by `fallback_optimizer`"):
        history = model.fit(*data, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("use_ema", [False, True])
def test_stock_model_that_was_not_prepared(use_ema, data):
    model = keras.Sequential(stack())
    model.compile(LocoProp(use_ema=use_ema), "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"prepare\(model\)") as error:
        model.fit(*data, verbose=0)
    assert "keras_locoprop.Model" in str(error.value)


@pytest.mark.not_on("jax", reason="a step that raises costs Keras the weights")
def test_nothing_is_lost_where_it_was_not_prepared(data):
    model = compiled(lambda: keras.Sequential(stack()))
    model.build((None, FEATURES))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"prepare\(model\)"):
        model.fit(*data, verbose=0)
    assert_same(model.get_weights(), before, 0.0)
    keras_locoprop.prepare(model)
    model.fit(*data, verbose=0)
    assert np.any(before[0] != model.get_weights()[0])


def test_prepare_after_training_with_another_optimizer(data):
    model = compiled(lambda: keras.Sequential(stack()), "sgd")
    model.fit(*data, verbose=0)
    keras_locoprop.prepare(model)
    model.compile(LocoProp(), "sparse_categorical_crossentropy")
    model.fit(*data, verbose=0)
    assert int(model.optimizer.iterations) == 3


def test_prepare_twice_is_prepare_once(data):
    model = keras_locoprop.prepare(MODELS["prepared_functional"]())
    model.compile(LocoProp(), "sparse_categorical_crossentropy")
    model.fit(*data, verbose=0)
    assert keras_locoprop.prepare(model) is model


def overriding(base):
    class Overriding(base):
        def train_step(self, *state_and_data):
            return super().train_step(*state_and_data)

    return Overriding


def test_prepare_refuses_what_overrides_train_step():
    with pytest.raises(ValueError, match="must not override `train_step`"):
        keras_locoprop.prepare(overriding(keras.Sequential)(stack()))


def test_a_subclass_may_extend_train_step(data):
    extended = weights_after_fit(
        compiled(lambda: overriding(keras_locoprop.Sequential)(stack())), data
    )
    plain = weights_after_fit(compiled(MODELS["sequential"]), data)
    assert_same(extended, plain)


@pytest.mark.parametrize("thing", [None, "model", layers.Dense(3), LocoProp()])
def test_prepare_takes_models_only(thing):
    with pytest.raises(ValueError, match="`model` must be a `keras.Model`"):
        keras_locoprop.prepare(thing)


def test_recompiling_with_a_frozen_layer(data):
    model = compiled(MODELS["functional"])
    model.fit(*data, verbose=0)
    model.layers[1].trainable = False
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(*data, verbose=0)
    assert_same(model.get_weights()[:2], before[:2], 0.0)
    assert np.any(model.get_weights()[2] != before[2])


def test_averages_beside_a_layer_that_has_been_frozen():
    """Keras hands them out by positions, which are others by then."""
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

    def make(**arguments):
        keras.utils.set_random_seed(0)
        model = keras_locoprop.Sequential(
            [keras.Input((4,)), *(layers.Dense(4) for _ in range(3))]
        )
        model.compile(LocoProp(weight_averaging=0.0, **arguments), "mse")
        model.fit(x, x, shuffle=False, verbose=0)
        model.layers[0].trainable = False
        model.compile(model.optimizer, "mse")
        before = model.get_weights()
        model.fit(x, x, batch_size=64, shuffle=False, verbose=0)
        return before, model.get_weights()

    # Averages with a momentum of almost none are the weights themselves.
    before, averaged = make(use_ema=True, ema_momentum=1e-6)
    _, plain = make()
    assert_same(averaged[:2], before[:2], 0.0)
    for one, other in zip(averaged, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_loading_weights_before_an_unfrozen_layer_is_compiled(data, tmp_path):
    model = compiled(MODELS["functional"])
    model.layers[1].trainable = False
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    model.fit(*data, verbose=0)
    model.save_weights(tmp_path / "of.weights.h5")
    before = model.get_weights()
    model.layers[1].trainable = True
    model.set_weights([weight + 1.0 for weight in before])
    model.load_weights(tmp_path / "of.weights.h5")
    assert_same(model.get_weights(), before, 0.0)


def test_subclassing_is_unharmed_by_functional_use(data):
    UsedFunctionally(*functional())
    assert keras_locoprop.models.Functional not in Subclassed.__mro__
    assert keras_locoprop.Model(*functional()).__class__.__name__ == (
        "Functional"
    )
    assert isinstance(keras_locoprop.Model(*functional()), keras_locoprop.Model)
    compiled(Subclassed).fit(*data, verbose=0)


def test_devices_are_checked_before_the_first_step(data, monkeypatch):
    def refuse(model):
        raise ValueError("not on these")

    monkeypatch.setattr(keras_locoprop.backend, "check_distribution", refuse)
    model = compiled(MODELS["functional"])
    before = model.get_weights()
    with pytest.raises(ValueError, match="not on these"):
        model.fit(*data, verbose=0)
    assert_same(model.get_weights(), before, 0.0)
