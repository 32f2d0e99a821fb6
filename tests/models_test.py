"""`compile`, `fit` and the rest work as they do in Keras."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop import keras_private
from tests.small_models import CLASSES
from tests.small_models import EXAMPLES
from tests.small_models import FEATURES
from tests.small_models import MODELS
from tests.small_models import all_models
from tests.small_models import assert_same
from tests.small_models import compiled
from tests.small_models import make_data
from tests.small_models import weights_after_fit

pytestmark = pytest.mark.backends


@pytest.fixture
def data():
    return make_data()


@all_models
def test_fit_lowers_the_loss(make, data):
    model = compiled(make)
    history = model.fit(
        *data, epochs=20, verbose=0, validation_data=data, batch_size=16
    ).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    loss, accuracy = model.evaluate(*data, verbose=0)
    np.testing.assert_allclose(loss, history["val_loss"][-1], rtol=1e-5)
    np.testing.assert_allclose(accuracy, history["val_accuracy"][-1])
    assert model.predict(data[0], verbose=0).shape == (EXAMPLES, CLASSES)


@all_models
def test_other_optimizers_train_as_in_keras(make, data):
    stocks = {
        keras_locoprop.Sequential: keras.Sequential,
        keras_locoprop.models.Functional: keras_private.Functional,
    }
    model = compiled(make, keras.optimizers.Adam())
    model(data[0])
    start = model.get_weights()
    ours = weights_after_fit(model, data)
    assert any(np.any(a != b) for a, b in zip(start, ours, strict=True))
    stock_class = stocks.get(type(model))
    if stock_class is None:
        return
    stock = stock_class.from_config(model.get_config())
    stock(data[0])
    stock.set_weights(start)
    stock.compile(
        keras.optimizers.Adam(),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    keras.utils.set_random_seed(0)
    expected = weights_after_fit(stock, data)
    model.set_weights(start)
    model.compile(
        keras.optimizers.Adam(),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    keras.utils.set_random_seed(0)
    assert_same(weights_after_fit(model, data), expected, 0.0)


@pytest.mark.parametrize(
    "options",
    [
        {"run_eagerly": True},
        {"jit_compile": True},
        {"jit_compile": False},
        pytest.param(
            {"steps_per_execution": 3},
            marks=pytest.mark.not_on("torch", reason="Keras has it not"),
        ),
    ],
    ids=lambda options: "-".join(f"{k}-{v}" for k, v in options.items()),
)
def test_ways_to_execute_agree(options, data):
    def train(**options):
        optimizer = LocoProp(inner_batch_size=5)
        model = compiled(MODELS["subclassed"], optimizer, **options)
        model.build((None, FEATURES))
        return weights_after_fit(model, data, shuffle=False)

    assert_same(train(**options), train())


def test_same_seed_same_weights(data):
    def train():
        return weights_after_fit(compiled(MODELS["functional"]), data)

    assert_same(train(), train(), 0.0)


def test_batches_beyond_what_an_integer_counts():
    """The product of rows and examples is more than 2³¹."""
    x = np.random.normal(size=(50_100, 2)).astype("float32")
    model = keras_locoprop.Sequential([layers.Dense(1)])
    optimizer = LocoProp(inner_batch_size="all", learning_rate=0.01)
    model.compile(optimizer=optimizer, loss="mse")
    y = 2.0 + x[:, :1]
    history = model.fit(x, y, batch_size=50_000, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_train_on_batch_is_a_step_of_fit(data):
    fitted = compiled(MODELS["functional"])
    stepped = compiled(MODELS["functional"])
    weights = weights_after_fit(
        fitted, data, epochs=1, batch_size=EXAMPLES, shuffle=False
    )
    stepped.train_on_batch(*data)
    assert_same(stepped.get_weights(), weights)


def test_learning_rate_scheduler(data):
    model = compiled(MODELS["functional"])
    scheduler = keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: 0.5 * rate
    )
    start = float(model.optimizer.learning_rate)
    model.fit(*data, epochs=3, verbose=0, callbacks=[scheduler])
    np.testing.assert_allclose(model.optimizer.learning_rate, start / 8)


def test_a_lower_learning_rate_moves_less(data):
    def distance(rate):
        model = compiled(MODELS["functional"], LocoProp(learning_rate=rate))
        start = model.get_weights()
        model.train_on_batch(*data)
        return sum(
            np.sum(np.abs(a - b))
            for a, b in zip(start, model.get_weights(), strict=True)
        )

    np.testing.assert_allclose(distance(2e-6) / distance(1e-6), 2.0, 0.05)


def test_learning_rate_schedule_counts_batches(data):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1], [1e-3, 1e-30]
    )
    optimizer = LocoProp(learning_rate=schedule, inner_optimizer="sgd")
    model = compiled(MODELS["functional"], optimizer)
    for _ in range(2):
        model.train_on_batch(*data)
    moved = model.get_weights()
    model.train_on_batch(*data)
    assert_same(model.get_weights(), moved, 1e-7)


@pytest.mark.parametrize(
    "scaled", [lambda y, p: 1000.0, lambda y, p: 1e-4], ids=["large", "small"]
)
def test_relative_scaling_ignores_a_factor_of_the_loss(scaled, data):
    cross_entropy = keras.losses.sparse_categorical_crossentropy

    def train(loss):
        keras.utils.set_random_seed(0)
        model = MODELS["functional"]()
        model.compile(LocoProp(), loss)
        return weights_after_fit(model, data, shuffle=False)

    assert_same(
        train(lambda y, p: scaled(y, p) * cross_entropy(y, p)),
        train(cross_entropy),
    )


def test_sample_weight_of_zero_takes_an_example_out_of_the_targets(data):
    x, y = data
    weights = np.ones(EXAMPLES)
    weights[::2] = 0.0
    wrong = np.where(weights == 0.0, (y + 1) % CLASSES, y)

    def train(labels):
        model = compiled(MODELS["functional"])
        return weights_after_fit(
            model, (x, labels), sample_weight=weights, shuffle=False
        )

    assert_same(train(wrong), train(y), 0.0)


def test_class_weight(data):
    def train(**options):
        model = compiled(MODELS["functional"])
        return weights_after_fit(model, data, shuffle=False, **options)

    class_weight = {0: 3.0, 1: 0.5, 2: 1.0}
    sample_weight = np.vectorize(class_weight.get)(data[1])
    assert_same(
        train(class_weight=class_weight), train(sample_weight=sample_weight)
    )


@pytest.mark.not_on(
    "jax", "torch", reason="the arguments are those of any backend"
)
@pytest.mark.parametrize(
    "arguments",
    [
        {"clipnorm": 1e-3},
        {"clipvalue": 1e-4},
        {"global_clipnorm": 1e-3},
        {"weight_decay": 10.0},
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
        {"gradient_accumulation_steps": 2},
        {"proximal": 3.0},
        {"inner_decay": 1.0},
        {"exclude": ["first"]},
        {"variant": "squared"},
        {"gradient_scaling": "absolute"},
        {"solver": "exact"},
        {"solver": "conjugate_gradient"},
        {"learning_rate": "auto"},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_every_argument_has_an_effect(arguments, data):
    def make():
        return keras_locoprop.Sequential(
            [
                keras.Input((FEATURES,)),
                layers.Dense(8, "tanh", name="first"),
                layers.Dense(CLASSES, "softmax", name="last"),
            ]
        )

    def train(**arguments):
        return weights_after_fit(compiled(make, LocoProp(**arguments)), data)

    changed, plain = train(**arguments), train()
    assert all(np.all(np.isfinite(weight)) for weight in changed)
    assert (
        max(np.max(np.abs(a - b)) for a, b in zip(changed, plain, strict=True))
        > 1e-6
    )


def test_clipvalue_bounds_the_displacement(data):
    model = compiled(MODELS["functional"], LocoProp(clipvalue=1e-5))
    before = model.get_weights()
    model.train_on_batch(*data)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.max(np.abs(new - old)) < 1.01e-5


def test_accumulation_moves_weights_every_other_batch(data):
    optimizer = LocoProp(gradient_accumulation_steps=2)
    model = compiled(MODELS["functional"], optimizer)
    before = model.get_weights()
    model.train_on_batch(*data)
    assert_same(before, model.get_weights(), 0.0)
    model.train_on_batch(*data)
    assert np.any(before[0] != model.get_weights()[0])
