import keras
import numpy as np
import pytest

from benchmarks.comparison import training_loop
from benchmarks.comparison.keras_trainer import KerasTrainer
from benchmarks.comparison.keras_trainer import WarmUpThenDecay
from benchmarks.comparison.keras_trainer import in_order
from benchmarks.comparison.networks import build
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.runs import Checkpoint
from benchmarks.comparison.tasks import TASKS

RUN = {"batch_size": 8, "epochs": 4, "seed": 3, "parts": 1}


def trainer(name):
    task, peer = TASKS["tiny"], PEERS[name]
    settings = peer.fixed | peer.start
    settings.pop("batch_factor", None)
    if peer.scheduled:
        for name in peer.retuned:
            settings[name] = WarmUpThenDecay(settings[name], 20)
    return KerasTrainer(build(task), task.targets, peer.make(**settings))


@pytest.mark.parametrize("steps", [1, 2, 19, 180, 6000])
def test_rates_rise_over_a_twentieth_and_fall_to_zero(steps):
    rates = [training_loop.rate_factor(step, steps) for step in range(steps)]
    warm_up = max(1, round(steps / 20))
    assert rates[warm_up - 1] == max(rates) == 1.0
    assert np.all(np.diff(rates[:warm_up]) > 0)
    assert np.all(np.diff(rates[warm_up - 1 :]) < 0)
    assert 0 < rates[-1] <= 1 / (steps - warm_up + 1)


def test_keras_has_the_same_rates():
    schedule = WarmUpThenDecay(0.5, 40)
    for step in range(40):
        expected = 0.5 * training_loop.rate_factor(step, 40)
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-6)


def test_batches_are_those_of_the_seed_and_full():
    class Listening:
        def __init__(self):
            self.seen = []

        def warm_up(self, x, y):
            pass

        def fit(self, x, y, batch_size):
            self.seen.append((x.tolist(), batch_size))

        def evaluate(self, x, y):
            return {"loss": float(len(x))}

    x = np.arange(10)
    data = {"x_train": x, "y_train": x, "x_test": x[:3], "y_test": x[:3]}
    listening = Listening()
    run = {"batch_size": 3, "epochs": 2, "seed": 5, "parts": 2}
    points = list(training_loop.train(listening, data, run))
    assert [point["epoch"] for point in points] == [0, 0.5, 1.0, 1.5, 2.0]
    assert "compile_seconds" in points[0]
    assert points[0]["train_loss"] == 10 and points[0]["test_loss"] == 3
    for epoch in range(2):
        order = np.random.default_rng((5, epoch)).permutation(10)
        (first, size), (second, _) = listening.seen[2 * epoch : 2 * epoch + 2]
        assert size == 3
        assert first + second == order[:9].tolist()


def test_a_loss_that_is_not_finite_ends_the_run(tiny):
    diverging = trainer("Adam")
    diverging.evaluate = lambda x, y: {"loss": float("nan")}
    assert len(list(training_loop.train(diverging, tiny, RUN))) == 2


@pytest.mark.parametrize("name", ["Adam", "LocoProp()", 'LocoProp("auto")'])
def test_warming_up_leaves_no_trace(tiny, name):
    warm, cold = trainer(name), trainer(name)
    warm.warm_up(tiny["x_train"][:8], tiny["y_train"][:8])
    assert int(warm.model.optimizer.iterations) == 0
    for one in (warm, cold):
        one.fit(tiny["x_train"], tiny["y_train"], 8)
    for one, other in zip(
        warm.model.get_weights(), cold.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_seconds_are_those_of_the_steps():
    class Reporting:
        def warm_up(self, x, y):
            pass

        def fit(self, x, y, batch_size):
            return 1000.0

        def evaluate(self, x, y):
            return {"loss": 1.0}

    x = np.arange(4)
    data = {"x_train": x, "y_train": x, "x_test": x, "y_test": x}
    run = {"batch_size": 2, "epochs": 2, "seed": 0, "parts": 1}
    records = list(training_loop.train(Reporting(), data, run))
    assert [record["seconds"] for record in records] == [0.0, 1000.0, 2000.0]
    run |= {"epochs": 3, "every": 2}
    records = list(training_loop.train(Reporting(), data, run))
    assert [record["epoch"] for record in records] == [0, 2, 3]
    assert [record["seconds"] for record in records] == [0.0, 2000.0, 3000.0]


def test_a_pipeline_has_the_rows_in_their_order():
    x, y = np.random.default_rng(0).random((10, 2)), np.arange(10)
    batches = list(in_order(x, y, 4)["x"])
    assert [len(rows) for rows, _ in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), x)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), y)


def test_averages_in_pieces_are_those_of_one_training(tiny):
    """Each piece is evaluated with averages, and the next goes on without."""
    results = []
    for pieces in (1, 5):
        keras.utils.set_random_seed(0)
        one = KerasTrainer(
            build(TASKS["tiny"]),
            TASKS["tiny"].targets,
            keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5),
        )
        for x in np.split(tiny["x_train"], pieces):
            one.fit(x, x, 8)
        results.append(one.model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["Adam", "LocoProp()", 'LocoProp("auto")'])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tiny, tmp_path, name):
    whole = list(training_loop.train(trainer(name), tiny, RUN))
    checkpoint = Checkpoint(tmp_path / "folder" / "run.npz")
    half = training_loop.train(trainer(name), tiny, RUN, checkpoint)
    for _ in range(4):
        next(half)
    del half
    keras.utils.clear_session()
    kept, _ = checkpoint.load()
    assert [point["epoch"] for point in kept] == [0, 1, 2]
    resumed = list(training_loop.train(trainer(name), tiny, RUN, checkpoint))
    assert [p["epoch"] for p in resumed] == [p["epoch"] for p in whole]
    for one, other in zip(resumed, whole):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
    checkpoint.delete()
    assert checkpoint.load() is None


def test_batches_must_not_be_larger_than_the_data(tiny):
    run = RUN | {"batch_size": 41}
    with pytest.raises(ValueError, match="batch_size=41, 40 examples"):
        next(training_loop.train(trainer("Adam"), tiny, run))


def test_means_are_over_examples():
    results = [(3, {"loss": 1.0}), (1, {"loss": 5.0})]
    assert training_loop.mean_results(results) == {"loss": 2.0}


def test_runs_that_share_a_lock_train_one_after_the_other(
    monkeypatch, tmp_path
):
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "lock"
    monkeypatch.setenv(training_loop.LOCK, str(path))

    class Trainer:
        def warm_up(self, x, y):
            pass

        def fit(self, x, y, batch_size):
            pass

        def evaluate(self, x, y):
            return {"loss": 1.0}

    arrays = ("x_train", "y_train", "x_test", "y_test")
    data = {name: np.zeros((4, 1)) for name in arrays}
    run = {"batch_size": 2, "epochs": 1, "seed": 0, "parts": 1}
    records = training_loop.train(Trainer(), data, run)
    with open(path, "w", encoding="utf-8") as file:
        next(records)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        next(records)
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not list(records)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
