import keras

from benchmarks import records
from benchmarks import time_to_loss
from benchmarks import time_to_loss_report
from benchmarks.comparison.cells import crossing

POINTS = [
    {"epoch": 0.5, "seconds": 2.0, "train_loss": 130.0, "test_loss": 131.0},
    {"epoch": 1.0, "seconds": 4.0, "train_loss": 79.0, "test_loss": 80.0},
    {"epoch": 1.5, "seconds": 6.0, "train_loss": 81.0, "test_loss": 82.0},
]


def row(name, problem="mnist", points=POINTS):
    return {
        "name": name,
        "problem": problem,
        "batch_size": 1000,
        "points": points,
    }


def test_crossing_is_the_first_point_below():
    assert crossing(POINTS, 120) is POINTS[1]
    assert crossing(POINTS, 79) is POINTS[1]
    assert crossing(POINTS, 70) is None


def test_the_table_has_a_row_for_each_run():
    text = time_to_loss_report.tables([row("Adam")])
    assert "## MNIST autoencoder" in text
    *_, line = text.splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["`Adam`", "1000", "4 s (1)", "4 s (1)", "not in 1.5"]
    assert cells[-1] == "81, test 82, 6 s (1.5)"


def test_the_table_tells_the_backend():
    rows = [row("Adam") | {"backend": each} for each in ("tensorflow", "jax")]
    lines = time_to_loss_report.tables(rows).splitlines()
    assert [line.split(" | ")[0] for line in lines[-2:]] == [
        "| `Adam`",
        "| `Adam`, on jax",
    ]


def test_the_committed_tables_are_those_of_the_committed_runs():
    rows = records.read_lines(time_to_loss.RESULTS)
    text = time_to_loss.RESULTS.with_suffix(".md").read_text(encoding="utf-8")
    assert rows and text == time_to_loss_report.tables(rows)


def test_accuracy_stands_in_for_the_test_loss():
    points = [point | {"test_accuracy": 0.875} for point in POINTS]
    text = time_to_loss_report.tables([row("Adam", "classifier", points)])
    assert text.endswith("| 81, test 87.5 %, 6 s (1.5) |\n")


def test_of_a_peer_the_best_setting_is_drawn(tmp_path):
    better = [POINTS[0], POINTS[1] | {"train_loss": 69.0}]
    rows = [
        row("Adam, 1e-3"),
        row("kfac-jax, damping 1"),
        row("kfac-jax, damping 10", points=better),
        row("Adam, 1e-3", "classifier"),
    ]
    drawn = [r["name"] for r in time_to_loss_report._to_draw(rows[:3])]
    assert drawn == ["Adam, 1e-3", "kfac-jax, damping 10"]
    path = tmp_path / "time_to_loss.png"
    time_to_loss_report.draw(rows, path)
    assert path.stat().st_size > 10_000


def test_runs_are_printed_and_kept(data_dir, tmp_path, monkeypatch, capsys):
    run = time_to_loss.Run(
        "Adam", "mnist", "Adam", {"learning_rate": 1e-3}, 16, 6
    )
    monkeypatch.setattr(time_to_loss, "RUNS", [run])
    path = tmp_path / "time_to_loss.jsonl"
    arguments = ["--data-dir", str(data_dir), "--results", str(path)]
    arguments += ["--examples", "96", "--epochs", "1"]
    time_to_loss.main(arguments)
    [kept] = records.read_lines(path)
    assert kept["name"] == "Adam" and kept["train_examples"] == 96
    assert kept["backend"] == keras.backend.backend()
    epochs = [point["epoch"] for point in kept["points"]]
    assert epochs == [0, 0.25, 0.5, 0.75, 1.0]
    assert "| `Adam` | 16 |" in capsys.readouterr().out


def test_the_summary_is_sorted_and_has_the_best_setting_of_a_peer():
    third = {
        "epoch": 3.0,
        "seconds": 9.0,
        "train_loss": 60.5,
        "test_loss": 62.0,
    }
    slower = third | {"seconds": 12.0}
    rows = [
        row("Adam, 1e-3", points=[POINTS[0], slower]),
        row("kfac-jax, damping 1", points=[POINTS[0], slower]),
        row("kfac-jax, damping 10", points=[POINTS[0], third]),
    ]
    text = time_to_loss_report.summaries(rows)["mnist"]
    _, _, *lines = text.splitlines()
    assert lines == [
        "| `kfac-jax, damping 10` | 1000 | 9 s (3) | 9 s (3) "
        "| not in 3 | not in 3 | 60.5, test 62 |",
        "| `Adam, 1e-3` | 1000 | 12 s (3) | 12 s (3) "
        "| not in 3 | not in 3 | 60.5, test 62 |",
    ]
