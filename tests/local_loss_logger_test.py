"""What the callback reports is what happened, in plain NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocalLossLogger
from keras_locoprop import LocoProp
from keras_locoprop import backend

pytestmark = pytest.mark.backends

FEATURES, EXAMPLES = 4, 24


@pytest.fixture
def data():
    x = np.random.normal(size=(EXAMPLES, FEATURES)).astype("float32")
    return x, np.tanh(x[:, :2])


def make_model(*hidden, **arguments):
    keras.utils.set_random_seed(0)
    model = keras_locoprop.Sequential(
        [
            keras.Input((FEATURES,)),
            *hidden,
            layers.Dense(2, name="last"),
        ]
    )
    model.compile(optimizer=LocoProp(**arguments), loss="mse")
    return model


def fit(model, data, logger, **options):
    options = {"batch_size": EXAMPLES, "verbose": 0} | options
    callbacks = [logger] if logger else []
    return model.fit(*data, callbacks=callbacks, **options).history


def test_the_numbers_are_those_of_the_step(data):
    x, y = data
    model = make_model(
        gradient_scaling="absolute", activation_learning_rate=0.5
    )
    kernel, bias = model.get_weights()
    history = fit(model, data, LocalLossLogger())
    new_kernel, new_bias = model.get_weights()
    start, end = x @ kernel + bias, x @ new_kernel + new_bias
    # The gradient of one example's mean over its two squared errors.
    target = start - 0.5 * (start - y)
    before, after = (np.sum((z - target) ** 2) for z in (start, end))
    fall = history["local_loss_fall/last"]
    np.testing.assert_allclose(fall, [1 - after / before], rtol=1e-4)
    moved = np.sum((new_kernel - kernel) ** 2) + np.sum((new_bias - bias) ** 2)
    size = np.sum(kernel**2) + np.sum(bias**2)
    np.testing.assert_allclose(
        history["displacement/last"], [np.sqrt(moved / size)], rtol=1e-4
    )
    assert history["skipped_steps"] == [0]


def test_a_problem_that_is_solved_falls_by_all_of_it():
    x = np.eye(FEATURES, dtype="float32")
    model = make_model(
        inner_optimizer=keras.optimizers.SGD(1.0),
        learning_rate_scaling="absolute",
        inner_steps=60,
        inner_decay=1.0,
        inner_batch_size="all",
    )
    history = fit(model, (x, x[:, :2]), LocalLossLogger(), batch_size=FEATURES)
    is_double = backend.widest_float() == "float64"
    np.testing.assert_allclose(
        history["local_loss_fall/last"], [1.0], atol=1e-4 if is_double else 3e-3
    )


@pytest.mark.parametrize(
    "activation", ["tanh", "relu", "sigmoid", "softmax", "gelu"]
)
def test_small_steps_lower_every_local_loss(activation, data):
    model = make_model(
        layers.Dense(5, activation, name="first"), learning_rate=1e-4
    )
    history = fit(model, data, LocalLossLogger(), epochs=3)
    for name in ("first", "last"):
        assert min(history[f"local_loss_fall/{name}"]) > 0


def test_it_changes_nothing_and_leaves(data):
    plain = make_model(layers.Dense(5, "tanh", name="first"))
    observed = make_model(layers.Dense(5, "tanh", name="first"))
    observed.set_weights(plain.get_weights())
    options = {"epochs": 2, "shuffle": False, "batch_size": 8}
    fit(plain, data, None, **options)
    fit(observed, data, LocalLossLogger(), **options)
    for one, other in zip(
        plain.get_weights(), observed.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert "skipped_steps" not in fit(observed, data, None)
    assert not observed.optimizer.observers


def test_layers_are_chosen_by_pattern(data):
    model = make_model(layers.Dense(5, "tanh", name="first"))
    history = fit(model, data, LocalLossLogger(layers=["f.*"]))
    assert "displacement/first" in history
    assert "displacement/last" not in history


def test_layers_inside_others_are_chosen_as_exclude_does(data):
    block = keras.Sequential(
        [layers.Dense(5, "tanh", name="deep")], name="block"
    )
    for pattern in ("deep", "block", "block/deep"):
        model = make_model(block)
        history = fit(model, data, LocalLossLogger(layers=[pattern]))
        assert "displacement/block/deep" in history
        assert "displacement/last" not in history


def test_layers_must_be_patterns_that_match(data):
    with pytest.raises(ValueError, match="`layers` must be a list.*'last'"):
        LocalLossLogger(layers="last")
    model = make_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match="`layers` must hold names.*'first'"):
        fit(model, data, LocalLossLogger(layers=["first"]))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "loss" in fit(model, data, None)


def test_rows_that_do_not_count_are_left_out_wherever_the_units_are():
    x = np.random.normal(size=(EXAMPLES, 3, FEATURES)).astype("float32")
    y = np.random.normal(size=(EXAMPLES, 3, 2)).astype("float32")
    weight = np.tile([1.0, 0.0, 2.0], (EXAMPLES, 1))
    other = np.where(weight[..., None] == 0, 10 * x + 1, x)
    falls = []
    for inputs in (x, other):
        keras.utils.set_random_seed(0)
        model = keras_locoprop.Sequential(
            [
                keras.Input((3, FEATURES)),
                layers.EinsumDense("btc,cd->bdt", (2, 3), name="einsum"),
                layers.Permute((2, 1)),
            ]
        )
        model.compile(LocoProp(inner_batch_size="all"), "mse")
        history = model.fit(
            inputs,
            y,
            sample_weight=weight,
            callbacks=[LocalLossLogger()],
            batch_size=EXAMPLES,
            verbose=0,
        ).history
        falls.append(history["local_loss_fall/einsum"][0])
    assert 0 < falls[0] <= 1
    assert falls[0] == pytest.approx(falls[1], rel=1e-5)


def test_skipped_steps_are_counted_and_not_averaged(data):
    x, y = data
    x = x.copy()
    x[:8] = np.nan
    model = make_model()
    history = fit(model, (x, y), LocalLossLogger(), batch_size=8, shuffle=False)
    assert history["skipped_steps"] == [1]
    assert np.isfinite(history["local_loss_fall/last"]).all()


def test_other_callbacks_see_it(data, tmp_path):
    model = make_model()
    stop = keras.callbacks.EarlyStopping("displacement/last", mode="max")
    table = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model.fit(
        *data, callbacks=[LocalLossLogger(), stop, table], epochs=2, verbose=0
    )
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert "displacement/last" in header.split(",")
    assert 1 <= len(rows) <= 2


def test_another_optimizer_has_nothing_to_log(data):
    model = make_model()
    model.compile("sgd", "mse")
    assert set(fit(model, data, LocalLossLogger())) == {"loss"}


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_progress_bar_shows_it(data, verbose, capsys):
    make_model().fit(*data, callbacks=[LocalLossLogger()], verbose=verbose)
    shown = capsys.readouterr().out
    assert "displacement/last: " in shown
    assert "skipped_steps: 0" in shown


def test_two_loggers_log_side_by_side(data):
    model = make_model(layers.Dense(5, "tanh", name="first"))
    loggers = [LocalLossLogger([name]) for name in ("first", "last")]
    history = model.fit(*data, callbacks=loggers, verbose=0).history
    assert {"displacement/first", "displacement/last"} <= history.keys()
    assert not model.optimizer.observers


def test_a_logger_that_is_used_again_forgets(data):
    logger = LocalLossLogger()
    fit(make_model(layers.Dense(5, "tanh", name="first")), data, logger)
    history = fit(make_model(), data, logger)
    assert "displacement/first" not in history
    assert "displacement/last" in history


def test_weights_that_are_zero_have_no_relative_displacement(data):
    model = make_model()
    model.set_weights([0.0 * weight for weight in model.get_weights()])
    history = fit(model, data, LocalLossLogger(), epochs=2)
    first, second = history["displacement/last"]
    assert np.isnan(first) and second > 0
    assert np.isfinite(history["local_loss_fall/last"]).all()


def test_epochs_whose_steps_were_all_skipped_have_no_numbers(data):
    x, y = data
    history = fit(make_model(), (x * np.nan, y), LocalLossLogger())
    assert np.isnan(history["displacement/last"]).all()
    assert history["skipped_steps"] == [1]


def test_loggers_of_a_training_that_was_interrupted_are_gone(data):
    class Interruption(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = make_model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, callbacks=[LocalLossLogger(), Interruption()])
    observers = []
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: observers.extend(
            model.optimizer.observers
        )
    )
    model.fit(*data, callbacks=[LocalLossLogger(), count], verbose=0)
    assert len(observers) == 1
    assert not model.optimizer.observers
