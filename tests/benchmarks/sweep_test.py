import json
import math
import random

import pytest

from benchmarks import records
from benchmarks import sweep
from benchmarks import training_run
from benchmarks.sweep_report import format_report

TINY = ["--seeds", "1", "--epochs", "2"]


def run(results, *arguments):
    sweep.main([*arguments, *TINY, "--results", str(results)])
    return records.read_lines(results / "sweep.jsonl")


def test_sweep_is_resumed_and_reported(tmp_path):
    task = ["--task", "regression", "--examples", "256"]
    twice = ["--set", "inner_steps=2,2", "momentum=0.99"]
    rows = run(tmp_path, *task, *twice)
    assert len(rows) == 1

    task += ["--set", "inner_steps=2,3", "momentum=0.99", "--report"]
    rows = run(tmp_path, *task)
    assert [r["configuration"]["settings"]["inner_steps"] for r in rows] == [
        2,
        3,
    ]
    for row in rows:
        assert row["configuration"]["settings"]["momentum"] == 0.99
        assert len(row["train_loss"]) == len(row["test_loss"]) == 2
        assert len(row["seconds_per_epoch"]) == 2
        assert row["train_loss"][-1] < row["train_loss"][0]
        assert row["finite"] and row["skipped_steps"] == 0
        assert row["versions"] == records.versions()

    lines = (tmp_path / "sweep.jsonl").read_bytes()
    report = (tmp_path / "sweep.md").read_bytes()
    run(tmp_path, *task)
    assert (tmp_path / "sweep.jsonl").read_bytes() == lines
    (tmp_path / "sweep.md").unlink()
    sweep.main(["--report", "--results", str(tmp_path)])
    assert (tmp_path / "sweep.md").read_bytes() == report
    assert f"| {rows[0]['train_loss'][-1]:.4g} |" in report.decode()


def test_images_accuracy_and_repetition(tmp_path, data_dir, monkeypatch):
    monkeypatch.setattr(sweep, "ADAM_LEARNING_RATES", (1e-2,))
    task = ["--task", "classifier", "--data-dir", str(data_dir)]
    task += ["--examples", "96", "--batch-size", "8", "--adam"]
    (row,) = run(tmp_path / "results", *task)
    assert row["configuration"]["train_examples"] == 96
    assert row["configuration"]["settings"] == {"learning_rate": 0.01}
    assert len(row["test_accuracy"]) == 2
    assert row["skipped_steps"] is None

    (again,) = run(tmp_path / "again", *task)
    assert again["train_loss"] == pytest.approx(row["train_loss"], rel=1e-4)


def test_stability(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "STABILITY_BATCH_SIZES", (32,))
    task = ["--task", "regression", "--examples", "256"]
    (row,) = run(tmp_path, *task, "--stability", "--report")
    assert row["configuration"]["purpose"] == "stability"
    assert row["configuration"]["batch_size"] == 32
    assert row["finite"]
    report = (tmp_path / "sweep.md").read_text()
    assert "## Stability of the defaults" in report
    assert "## regression" not in report


def test_settings_are_completed_by_the_defaults():
    defaults = training_run.complete_settings("LocoProp", {})
    assert training_run.complete_settings("LocoProp", defaults) == defaults
    changed = {"momentum": 0.5, "inner_batch_size": "all", "weight_decay": 0.1}
    assert (
        training_run.complete_settings("LocoProp", changed)
        == defaults | changed
    )
    optimizer = training_run.make_optimizer("LocoProp", changed)
    assert optimizer.get_config()["weight_decay"] == 0.1


def test_the_grid_in_the_repository_has_both_sides_of_every_default():
    path = sweep.RESULTS.parent / "neighbours.json"
    defaults = training_run.complete_settings("LocoProp", {})
    first, *neighbours = json.loads(path.read_text())
    assert first == {}
    values = {}
    for neighbour in neighbours:
        ((name, value),) = neighbour.items()
        values.setdefault(name, []).append(value)
    assert values.pop("inner_batch_size") == ["all"]
    for name, (lower, upper) in values.items():
        assert lower < defaults[name] < upper, name


def row(optimizer, losses, seed=0, problem="classifier", **settings):
    return {
        "configuration": {
            "purpose": "sweep",
            "problem": problem,
            "optimizer": optimizer,
            "settings": settings,
            "train_examples": 60_000,
            "batch_size": 128,
            "epochs": len(losses),
            "seed": seed,
        },
        "train_loss": losses,
        "test_loss": losses,
        "test_accuracy": [],
        "seconds_per_epoch": [9.0, 2.0, 4.0],
        "versions": {"keras": "3"},
    }


def test_report_ranks_medians_and_marks_best_and_default():
    rows = [
        row("Adam", [5.0, 4.0], learning_rate=1e-3),
        row("Adam", [5.0, 3.0], learning_rate=3e-3),
        row("LocoProp", [4.0, 2.0], seed=0, learning_rate=1e-4),
        row("LocoProp", [4.0, 2.5], seed=1, learning_rate=1e-4),
        row("LocoProp", [4.0, 9.0], seed=2, learning_rate=1e-4),
        row("LocoProp", [None, None], learning_rate=1e-2, proximal=0.1),
    ]
    defaults = {"learning_rate": 1e-4}
    report = format_report(rows, defaults)
    assert "## classifier: 60,000 examples, batch size 128, epochs: 2" in report
    table = [line for line in report.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")] for line in table[2:]]
    assert [line[1] for line in cells] == [
        "**LocoProp (default)**",
        "**Adam (best)**",
        "Adam",
        "LocoProp",
    ]
    assert "2.5 (2–9)" in cells[0]
    assert cells[0][-2] == "3"
    assert "not finite" in cells[-1] and "0.1" in cells[-1]
    assert "proximal" in table[0]

    random.Random(0).shuffle(rows)
    assert format_report(rows, defaults) == report


def test_nothing_to_do(capsys):
    with pytest.raises(SystemExit):
        sweep.main([])
    assert "at least one of --set" in capsys.readouterr().err


def test_malformed_setting(capsys):
    with pytest.raises(SystemExit):
        sweep.main(["--set", "momentum"])
    assert "name=value" in capsys.readouterr().err


def test_lines_hold_no_numbers_that_json_does_not_know(tmp_path):
    path = tmp_path / "folder" / "lines.jsonl"
    records.append_line(path, {"loss": [1.0, math.nan, math.inf]})
    records.append_line(path, {"loss": []})
    assert records.read_lines(path) == [
        {"loss": [1.0, None, None]},
        {"loss": []},
    ]
