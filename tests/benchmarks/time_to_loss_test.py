from benchmarks import records
from benchmarks import time_to_loss

POINTS = [
    {"epoch": 0.5, "seconds": 2.0, "train_loss": 130.0, "test_loss": 131.0},
    {"epoch": 1.0, "seconds": 4.0, "train_loss": 79.0, "test_loss": 80.0},
    {"epoch": 1.5, "seconds": 6.0, "train_loss": 81.0, "test_loss": 82.0},
]


def test_crossing_is_the_first_point_below():
    assert time_to_loss.crossing(POINTS, 120) is POINTS[1]
    assert time_to_loss.crossing(POINTS, 79) is POINTS[1]
    assert time_to_loss.crossing(POINTS, 70) is None


def test_the_table_has_a_row_for_each_run():
    row = {"name": "Adam", "batch_size": 1000, "points": POINTS}
    [_, _, line] = time_to_loss.table([row]).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["`Adam`", "1000", "4 s (1)", "4 s (1)", "–"]
    assert cells[-1] == "81.00, test 82.00, 6 s (1.5)"


def test_runs_are_printed_and_kept(data_dir, tmp_path, monkeypatch, capsys):
    adam = ("Adam", {"learning_rate": 1e-3}, 16, 6)
    monkeypatch.setattr(time_to_loss, "CONFIGURATIONS", {"Adam": adam})
    path = tmp_path / "time_to_loss.jsonl"
    arguments = ["--data-dir", str(data_dir), "--results", str(path)]
    arguments += ["--examples", "96", "--epochs", "1"]
    time_to_loss.main(arguments)
    [row] = records.read_lines(path)
    assert row["name"] == "Adam" and row["train_examples"] == 96
    assert [point["epoch"] for point in row["points"]] == [0, 0.5, 1.0]
    assert "| `Adam` | 16 |" in capsys.readouterr().out
