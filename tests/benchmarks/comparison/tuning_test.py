import json
import math
import statistics

import keras
import numpy as np
import pytest

from benchmarks import records
from benchmarks.comparison import runs
from benchmarks.comparison import tuning
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.tasks import TASKS
from benchmarks.comparison.tuning import GRID


def row(loss, settings, trial=0, failure=None, optimizer="Adam"):
    return {
        "configuration": {
            "purpose": "tune",
            "problem": "mnist",
            "optimizer": optimizer,
            "settings": settings,
            "trial": trial,
        },
        "points": [{"train_loss": loss}],
        "failure": failure,
    }


@pytest.mark.parametrize("name", PEERS)
def test_searches_begin_with_the_start_and_stay_in_their_space(name):
    peer = PEERS[name]
    assert peer.space.keys() == peer.start.keys()
    assert set(peer.retuned) <= peer.space.keys()
    assert peer.joined.items() <= peer.start.items()
    for setting, value in peer.not_carried.items():
        distribution = peer.space[setting]
        assert distribution._contains(distribution.to_internal_repr(value))
    assert (peer.make is None) == bool(peer.module)
    assert peer.unsupported.keys() <= TASKS.keys()
    trials = []
    for trial in range(tuning.TRIALS):
        settings = tuning.suggest(peer, trials)
        assert settings == tuning.suggest(peer, trials)
        for setting, distribution in peer.space.items():
            value = distribution.to_internal_repr(settings[setting])
            assert distribution._contains(value), (setting, settings)
        loss = math.inf if trial == 2 else float(trial)
        trials.append(row(loss, settings, trial))
    assert trials[0]["configuration"]["settings"] == peer.start
    for setting in peer.retuned:
        tried = {t["configuration"]["settings"][setting] for t in trials}
        assert len(tried) > tuning.TRIALS / 2


@pytest.mark.parametrize("name", ["Adafactor", "K-FAC (kfac-jax)"])
def test_a_search_goes_on_where_a_setting_joined_it(name):
    peer, trials, without = PEERS[name], [], []
    for trial in range(tuning.TRIALS):
        settings = dict(tuning.suggest(peer, trials))
        trials.append(row(float(trial), settings, trial))
        # Recorded before the setting was searched: it had the default.
        settings = {k: v for k, v in settings.items() if k not in peer.joined}
        without.append(row(float(trial), settings, trial))
    assert tuning.suggest(peer, without).keys() == peer.space.keys()
    for kept in trials:
        kept["configuration"]["settings"] |= peer.joined
    assert tuning.suggest(peer, without) == tuning.suggest(peer, trials)


def test_trials_of_a_former_space_count_but_teach_nothing():
    peer = PEERS["Muon"]
    former = {"learning_rate": 0.01, "momentum": 0.9, "beta": 0.5}
    trials = [row(1.0, former, trial) for trial in range(tuning.TRIALS)]
    settings = tuning.suggest(peer, trials)
    assert settings.keys() == peer.space.keys()
    trials = [row(9.0, former, trial) for trial in range(tuning.TRIALS)]
    assert tuning.suggest(peer, trials) == settings


@pytest.mark.parametrize(
    "epsilon, is_input_off, is_finite",
    [(1e-30, True, False), (1e-30, False, True), (1e-16, True, True)],
)
def test_adafactor_needs_more_than_its_default_epsilon(
    epsilon, is_input_off, is_finite
):
    assert keras.optimizers.Adafactor().epsilon_1 == 1e-30
    assert epsilon in PEERS["Adafactor"].space["epsilon_1"].choices
    weights = keras.Variable(np.ones((4, 3), "float32"))
    gradient = np.full((4, 3), 1e-5, "float32")
    # A unit that is off for the whole batch, and perhaps an input.
    gradient[:, 0] = 0.0
    if is_input_off:
        gradient[0] = 0.0
    optimizer = keras.optimizers.Adafactor(epsilon_1=epsilon)
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weights])
    values = keras.ops.convert_to_numpy(weights)
    assert np.isfinite(values).all() == is_finite


def test_a_search_learns_from_its_trials():
    peer, losses = PEERS["SGD, momentum"], []
    for best in (0.2, 0.02, 0.002):
        trials = []
        for trial in range(30):
            settings = tuning.suggest(peer, trials)
            loss = abs(math.log10(settings["learning_rate"] / best))
            trials.append(row(loss, settings, trial))
        losses += [tuning.score(trial) for trial in trials[tuning.TRIALS :]]
    # Rates drawn at random are ten times off, half of them.
    assert statistics.median(losses) < 0.5


def test_the_best_is_the_lowest_finite_loss():
    rows = [
        row(3.0, {"learning_rate": 1.0}, 0),
        row(2.0, {"learning_rate": 2.0}, 1),
        row(None, {"learning_rate": 3.0}, 2),
        row(1.0, {"learning_rate": 4.0}, 3, failure="gave up"),
        row(0.0, {"learning_rate": 5.0}, 0, optimizer="Lion"),
    ]
    assert tuning.best_settings(rows, "mnist", "Adam") == {"learning_rate": 2.0}
    with pytest.raises(tuning.NotTuned, match="run `tune`"):
        tuning.best_settings(rows, "mnist", "Muon")
    with pytest.raises(tuning.NotTuned, match="Received: 1 trials"):
        tuning.best_settings(rows[2:3], "mnist", "Adam")


def test_tuning_is_resumed(runner, monkeypatch):
    tuning.tune(runner, "tiny", "Adam", trials=3)
    rows = records.read_lines(runner.results)
    assert [r["configuration"]["trial"] for r in rows] == [0, 1, 2]
    assert rows[0]["configuration"]["settings"] == PEERS["Adam"].start
    for one in rows:
        epochs = [point["epoch"] for point in one["points"]]
        assert epochs == [0, TASKS["tiny"].epochs]
        assert one["failure"] is None and one["commit"] and one["versions"]
        assert one["configuration"]["train_examples"] == 40

    # Killed while it wrote the third trial, it comes to the same one.
    lines = runner.results.read_text().splitlines(keepends=True)
    runner.results.write_text("".join(lines)[:-40])
    tuning.tune(runner, "tiny", "Adam", trials=3)
    again = records.read_lines(runner.results)
    assert [r["configuration"] for r in again] == [
        r["configuration"] for r in rows
    ]

    monkeypatch.setattr(
        runs.Runner, "_run", lambda *_: pytest.fail("ran once more")
    )
    tuning.tune(runner, "tiny", "Adam", trials=3)


def test_a_search_with_a_gap_is_refused(runner):
    tuning.tune(runner, "tiny", "Adam", epochs=1, trials=2)
    _, second = records.read_lines(runner.results)
    runner.results.write_text(json.dumps(second) + "\n")
    with pytest.raises(ValueError, match=r"Received: trials \[1\] of Adam"):
        tuning.tune(runner, "tiny", "Adam", epochs=1, trials=3)
    assert records.read_lines(runner.results) == [second]


def test_other_problems_start_from_the_best_setting(runner):
    with pytest.raises(tuning.NotTuned):
        tuning.tune(runner, "tiny_classifier", "Adam")
    tuning.tune(runner, "tiny", "Adam", trials=2)
    tuning.tune(runner, "tiny_classifier", "Adam", epochs=1)
    rows = records.read_lines(runner.results)
    best = tuning.best_settings(rows, "tiny", "Adam")
    tried = [row["configuration"]["settings"] for row in rows[2:]]
    assert [s["learning_rate"] for s in tried[: len(GRID)]] == pytest.approx(
        [best["learning_rate"] * factor for factor in GRID], rel=1e-2
    )
    assert {s["beta_2"] for s in tried} == {best["beta_2"]}
    assert tuning.next_factor(rows[2:]) is None

    # Another best setting there, once they have begun, changes nothing.
    better = row(0.0, {**best, "learning_rate": 9.0, "beta_2": 0.9}, 2)
    better["configuration"]["problem"] = "tiny"
    better["versions"] = rows[0]["versions"]
    cut = rows[: 2 + len(GRID) - 1]
    lines = [*cut, better]
    runner.results.write_text("".join(json.dumps(x) + "\n" for x in lines))
    tuning.tune(runner, "tiny_classifier", "Adam", epochs=1)
    again = records.read_lines(runner.results)[len(lines) :]
    fourth = [row["configuration"]["settings"] for row in again]
    assert fourth == tried[len(GRID) - 1 :]


@pytest.mark.parametrize(
    ("losses", "factor"),
    [
        ([], 0.1),
        ([4.0, 3.0], 1.0),
        ([4.0, 3.0, 1.0, 2.0], None),
        ([1.0, 2.0, 3.0, 4.0], 0.03),
        ([1.0, 1.0, 1.0, 1.0], None),
        ([float("nan")] * 4, 0.03),
        ([4.0, 3.0, 2.0, 1.0], 10.0),
        ([4.0, 3.0, 2.0, float("nan")], None),
        ([4.0, 3.0, 2.0, 1.0, 0.5], 30.0),
        ([4.0, 3.0, 2.0, 1.0, 0.5, 0.4], 100.0),
        ([4.0, 3.0, 2.0, 1.0, 0.5, 0.6], None),
        ([4.0, 3.0, 2.0, 1.0, 0.5, 0.4, 0.3], None),
        ([4.0, 3.0, 2.0, 1.0, 1.5], None),
        ([1.0, 2.0, 3.0, 4.0, 0.5], 0.01),
        ([1.0, 2.0, 3.0, 4.0, 0.5, 0.4], None),
        ([4.0, 3.0, 1.0, 2.0, 0.5], None),
    ],
)
def test_a_best_rate_at_an_end_asks_for_more(losses, factor):
    trials = [
        {"failure": None, "points": [{"train_loss": loss}]} for loss in losses
    ]
    assert tuning.next_factor(trials) == factor


def test_what_is_retuned_is_scaled_alike(runner, monkeypatch):
    peer = PEERS["Adam"]._replace(
        retuned=("learning_rate", "epsilon"),
        joined={"epsilon": 1e-7},
        not_carried={"beta_1": 0.5},
    )
    other = PEERS["Adam"].start | {"beta_1": 0.7}
    started_there = PEERS["Adam"]._replace(start=other)
    monkeypatch.setitem(PEERS, "Adam", started_there)
    tuning.tune(runner, "tiny", "Adam", epochs=1, trials=1)
    monkeypatch.setitem(PEERS, "Adam", peer)
    obtained = []

    def obtain(runner, asked):
        obtained.append(asked)
        points = [{"train_loss": (2 - len(obtained)) ** 2}]
        row = {"configuration": asked, "points": points, "failure": None}
        records.append_line(runner.results, row)

    monkeypatch.setattr(runs.Runner, "obtain", obtain)
    tuning.tune(runner, "tiny_classifier", "Adam")
    for factor, asked in zip(GRID, obtained, strict=True):
        assert asked["settings"] == PEERS["Adam"].start | {
            "beta_1": 0.5,
            "learning_rate": pytest.approx(1e-3 * factor),
            "epsilon": pytest.approx(1e-7 * factor),
        }


def test_trials_of_another_file_count_too(runner, tmp_path):
    other = runner._replace(results=tmp_path / "other.jsonl")
    tuning.tune(other, "tiny", "Adam", epochs=1, trials=2)
    borrowing = runner._replace(tuned=other.results)
    assert runner.rows() == []
    assert borrowing.rows() == records.read_lines(other.results)
    with pytest.raises(tuning.NotTuned):
        tuning.tune(runner, "tiny_classifier", "Adam", epochs=1)
    tuning.tune(borrowing, "tiny_classifier", "Adam", epochs=1)
    best = tuning.best_settings(other.rows(), "tiny", "Adam")
    [*tried, _, _] = borrowing.rows()
    for row in tried:
        assert row["configuration"]["problem"] == "tiny_classifier"
        assert row["configuration"]["settings"]["beta_2"] == best["beta_2"]

    # Final runs are not borrowed, and a search learns from its own trials.
    records.append_line(other.results, {"configuration": {"purpose": "final"}})
    tuning.tune(borrowing, "tiny", "Adam", epochs=1, trials=1)
    *_, own = runner.rows()
    assert own["configuration"]["settings"] == PEERS["Adam"].start
    assert borrowing.rows() == runner.rows() + other.rows()[:2]


def test_an_optimizer_that_gives_up_is_recorded(runner, monkeypatch):
    def giving_up(*_):
        yield {"epoch": 0, "train_loss": 9.0}
        raise runs.RunFailed("no eigenvalues")

    monkeypatch.setattr(runs, "points_of", giving_up)
    tuning.tune(runner, "tiny", "Adam", trials=1)
    [failed] = records.read_lines(runner.results)
    assert failed["failure"] == "no eigenvalues"
    assert tuning.score(failed) == math.inf
