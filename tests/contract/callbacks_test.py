"""Keras's callbacks steer, stop, save and resume a training by LocoProp."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from keras import callbacks

import keras_locoprop
from keras_locoprop import LocoProp
from tests.contract.models import BATCH_SIZE
from tests.contract.models import BATCHES
from tests.contract.models import assert_other_weights
from tests.contract.models import assert_same_weights
from tests.contract.models import fit
from tests.contract.models import make_data
from tests.contract.models import make_model

pytestmark = pytest.mark.backends

RATE = 0.01


def scaled(optimizer):
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)


def halve_each_epoch():
    return callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)


def halve_without_improvement():
    """No improvement is large enough, but for that upon nothing."""
    return callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=1e9
    )


@pytest.mark.parametrize(
    ("make_callback", "wrap", "rates"),
    [
        (halve_each_epoch, keras.optimizers.get, [RATE / 2, RATE / 4]),
        (halve_each_epoch, scaled, [RATE / 2, RATE / 4]),
        (
            halve_without_improvement,
            keras.optimizers.get,
            [RATE, RATE, RATE / 2],
        ),
    ],
    ids=["scheduler", "scheduler_with_loss_scale", "plateau"],
)
def test_learning_rate_of_each_epoch(make_callback, wrap, rates):
    model = make_model(wrap(LocoProp(RATE)))
    fit(model, epochs=len(rates), callbacks=[make_callback()])
    by_hand = make_model(wrap(LocoProp(RATE)))
    for rate in rates:
        by_hand.optimizer.learning_rate = rate
        fit(by_hand)
    assert_same_weights(model, by_hand)
    unsteered = make_model(wrap(LocoProp(RATE)))
    fit(unsteered, epochs=len(rates))
    assert_other_weights(model, unsteered)


def test_early_stopping_restores_the_best_weights():
    """The best loss is taken for the highest, which is that of epoch one."""
    stopping = callbacks.EarlyStopping(
        "loss", mode="max", patience=2, restore_best_weights=True
    )
    model, best = make_model(), make_model()
    history = fit(model, epochs=9, callbacks=[stopping]).history
    fit(best)
    assert len(history["loss"]) == 3
    assert_same_weights(model, best)


def loaded(path, base):
    return keras.saving.load_model(path)


def loaded_weights(path, base):
    model = make_model(base=base)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


@pytest.mark.parametrize("base", [keras_locoprop.Sequential, keras.Sequential])
@pytest.mark.parametrize(
    ("suffix", "restore"),
    [(".keras", loaded), (".weights.h5", loaded_weights)],
)
def test_training_resumes_from_a_checkpoint(base, suffix, restore, tmp_path):
    checkpoint = callbacks.ModelCheckpoint(
        tmp_path / f"{{epoch}}{suffix}",
        save_weights_only=suffix != ".keras",
    )
    model = make_model(base=base)
    fit(model, epochs=2, callbacks=[checkpoint])
    resumed = restore(tmp_path / f"1{suffix}", base)
    keras_locoprop.prepare(resumed)
    fit(resumed, epochs=2, initial_epoch=1)
    assert_same_weights(resumed, model)
    assert int(resumed.optimizer.iterations) == 2 * BATCHES


def test_averaged_weights_are_swapped_in_and_out(tmp_path):
    """What is saved after an epoch is the average, as after a `fit` of one."""
    swap = callbacks.SwapEMAWeights(swap_on_epoch=True)
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    swapped, plain, short = (
        make_model(LocoProp(use_ema=True, ema_momentum=0.5)) for _ in range(3)
    )
    fit(swapped, epochs=2, callbacks=[swap, checkpoint])
    fit(plain, epochs=2)
    fit(short)
    saved = keras.saving.load_model(tmp_path / "1.keras")
    # A swap is made of sums and differences.
    assert_same_weights(saved, short, atol=1e-6)
    assert_same_weights(swapped, plain, atol=1e-5)
    assert_other_weights(swapped, short)


class Dies(callbacks.Callback):
    """Kills its process in the middle of the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 1):
            os.kill(os.getpid(), signal.SIGKILL)


def backup(folder, save_freq):
    return callbacks.BackupAndRestore(
        Path(folder, str(save_freq)), save_freq=save_freq
    )


def train_and_die(folder):
    backups = [backup(folder, save_freq) for save_freq in ("epoch", 1)]
    fit(make_model(), epochs=3, callbacks=[*backups, Dies()])


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory):
    """The folder of a process that was killed."""
    folder = tmp_path_factory.mktemp("backups")
    command = (
        "import sys; from tests.contract.callbacks_test import train_and_die; "
        "train_and_die(sys.argv[1])"
    )
    result = subprocess.run(
        [sys.executable, "-c", command, folder],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    return folder


def test_a_killed_training_ends_as_one_that_was_not(left_behind):
    restarted, uninterrupted = make_model(), make_model()
    fit(restarted, epochs=3, callbacks=[backup(left_behind, "epoch")])
    fit(uninterrupted, epochs=3)
    assert_same_weights(restarted, uninterrupted)
    assert int(restarted.optimizer.iterations) == 3 * BATCHES


def test_a_training_killed_within_an_epoch_keeps_its_batches(left_behind):
    """Keras keeps the weights and the state, and begins the epoch anew."""
    restarted, by_hand = make_model(), make_model()
    fit(restarted, epochs=3, callbacks=[backup(left_behind, 1)])
    fit(by_hand)
    x, y = make_data()
    fit(by_hand, x=x[: 2 * BATCH_SIZE], y=y[: 2 * BATCH_SIZE])
    fit(by_hand, epochs=2)
    assert_same_weights(restarted, by_hand)
    assert int(restarted.optimizer.iterations) == 3 * BATCHES + 2
