"""One training run of the sweep: a configuration in, a row of results out."""

import time

import keras
import numpy as np

import keras_locoprop
from benchmarks import problems
from benchmarks.records import versions
from keras_locoprop.configuration import default_inner_optimizer

ADAM = "Adam"
LOCOPROP = "LocoProp"
EVALUATION_BATCH_SIZE = 1000

_LOCOPROP_SETTINGS = (
    "learning_rate",
    "activation_learning_rate",
    "variant",
    "gradient_scaling",
    "learning_rate_scaling",
    "inner_steps",
    "inner_batch_size",
    "inner_decay",
    "proximal",
    "weight_averaging",
)
_INNER_OPTIMIZER_SETTINGS = ("rho", "momentum", "epsilon")


def make_optimizer(name, settings):
    """Makes an optimizer.

    Args:
        name: `"Adam"` or `"LocoProp"`.
        settings: Dict of arguments; for LocoProp also of those of its inner
            optimizer (`momentum`, `rho`, `epsilon`).

    Returns:
        A Keras optimizer.
    """
    if name == ADAM:
        return keras.optimizers.Adam(**settings)
    settings = dict(settings)
    if "inner_optimizer" in settings:
        return keras_locoprop.LocoProp(**settings)
    inner = default_inner_optimizer()
    config = inner.get_config() | {
        setting: settings.pop(setting)
        for setting in _INNER_OPTIMIZER_SETTINGS
        if setting in settings
    }
    inner = type(inner).from_config(config)
    # What averages by default is the default inner optimizer alone.
    by_default = keras_locoprop.LocoProp(**settings).weight_averaging
    settings.setdefault("weight_averaging", by_default)
    return keras_locoprop.LocoProp(inner_optimizer=inner, **settings)


def complete_settings(name, settings):
    """Adds to some settings what the others are by default.

    A run is then known by what it did, even after defaults have changed.

    Args:
        name: As in `make_optimizer`.
        settings: Likewise.

    Returns:
        Dict.
    """
    config = make_optimizer(name, settings).get_config()
    if name == ADAM:
        return {"learning_rate": _rounded(config["learning_rate"])}
    # Whatever is given counts, even if it is none of those that always do.
    complete = settings | {name: config[name] for name in _LOCOPROP_SETTINGS}
    inner = config["inner_optimizer"]["config"]
    complete |= {
        setting: inner[setting]
        for setting in _INNER_OPTIMIZER_SETTINGS
        if setting in inner
    }
    return {setting: _rounded(value) for setting, value in complete.items()}


def train(problem, data, configuration):
    """Trains and evaluates after every epoch.

    Args:
        problem: `problems.Problem`.
        data: `problems.Data`; all of its training examples are used.
        configuration: Dict with `optimizer`, `settings`, `batch_size`,
            `epochs` and `seed`. The seed determines the initial weights and
            the order of the examples, whatever the optimizer.

    Returns:
        Dict, ready for JSON: the configuration, the results, the versions.
    """
    name, seed = configuration["optimizer"], configuration["seed"]
    sequential = keras.Sequential if name == ADAM else keras_locoprop.Sequential
    model = problems.make_model(problem, sequential, seed)
    optimizer = make_optimizer(name, configuration["settings"])
    model.compile(
        optimizer=optimizer, loss=problem.loss, metrics=list(problem.metrics)
    )
    initial = _evaluate(model, data.x_test, data.y_test)
    clock, train_results, test_results = _Clock(), [], []
    for epoch in range(configuration["epochs"]):
        order = np.random.default_rng((seed, epoch)).permutation(
            len(data.x_train)
        )
        model.fit(
            data.x_train[order],
            data.y_train[order],
            batch_size=configuration["batch_size"],
            shuffle=False,
            verbose=0,
            callbacks=[clock],
        )
        train_results.append(_evaluate(model, data.x_train, data.y_train))
        test_results.append(_evaluate(model, data.x_test, data.y_test))
    train_loss = [result["loss"] for result in train_results]
    return {
        "configuration": configuration,
        "initial_test_loss": initial["loss"],
        "train_loss": train_loss,
        "test_loss": [result["loss"] for result in test_results],
        "test_accuracy": [
            result["accuracy"]
            for result in test_results
            if "accuracy" in result
        ],
        "seconds_per_epoch": clock.seconds,
        "finite": bool(
            np.all(np.isfinite(train_loss))
            and all(np.all(np.isfinite(w)) for w in model.get_weights())
        ),
        "skipped_steps": (
            int(optimizer.skipped_steps) if name == LOCOPROP else None
        ),
        "versions": versions(),
    }


class _Clock(keras.callbacks.Callback):
    """Seconds of each epoch's steps; the first with compilation."""

    def __init__(self):
        super().__init__()
        self.seconds = []
        self._start = None

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._start)


def _evaluate(model, x, y):
    return model.evaluate(
        x, y, batch_size=EVALUATION_BATCH_SIZE, verbose=0, return_dict=True
    )


def _rounded(value):
    # Keras keeps a rate in single precision, and gives 9.9999e-05 for 1e-4.
    return float(f"{value:.6g}") if isinstance(value, float) else value
