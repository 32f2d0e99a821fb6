"""KerasTuner searches over LocoProp's arguments as over any optimizer's."""

import keras_tuner
import numpy as np

from keras_locoprop import LocoProp
from tests.contract.models import BATCH_SIZE
from tests.contract.models import fit
from tests.contract.models import make_data
from tests.contract.models import make_model

SPACE = {
    "learning_rate": {"min_value": 1e-4, "max_value": 1e-2, "sampling": "log"},
    "activation_learning_rate": {"min_value": 1e-3, "max_value": 0.1},
}


def build(hyperparameters):
    rates = {
        name: hyperparameters.Float(name, **limits)
        for name, limits in SPACE.items()
    }
    steps = hyperparameters.Int("inner_steps", 1, 5)
    return make_model(LocoProp(**rates, inner_steps=steps))


def test_random_search_trains_with_the_values_it_draws(tmp_path):
    x, y = make_data()
    tuner = keras_tuner.RandomSearch(
        build, "val_loss", max_trials=2, seed=0, directory=tmp_path
    )
    options = {"batch_size": BATCH_SIZE, "validation_data": (x, y)}
    tuner.search(x, y, epochs=2, shuffle=False, verbose=0, **options)
    trials = tuner.oracle.get_best_trials(2)
    expected = {}
    for trial in trials:
        by_hand = make_model(LocoProp(**trial.hyperparameters.values))
        history = fit(by_hand, epochs=2, **options).history
        expected[trial.trial_id] = min(history["val_loss"])
    for trial in trials:
        np.testing.assert_allclose(
            trial.score, expected[trial.trial_id], rtol=1e-5
        )
    assert len(set(expected.values())) == 2
    [best] = tuner.get_best_models(1)
    np.testing.assert_allclose(
        best.evaluate(x, y, verbose=0), min(expected.values()), rtol=1e-5
    )
    config = best.optimizer.get_config()
    for name, value in trials[0].hyperparameters.values.items():
        np.testing.assert_allclose(config[name], value, rtol=1e-6)
