import math

from benchmarks import stability
from benchmarks.records import read_lines


def test_a_loss_that_rises_or_is_no_number_has_diverged():
    assert not stability.has_diverged({"losses": [3.0, 5.0, 2.0]})
    assert stability.has_diverged({"losses": [3.0, 2.0, 3.0]})
    assert stability.has_diverged({"losses": [3.0, math.nan, 2.0]})
    assert stability.has_diverged({"losses": [3.0, None, 2.0]})


def test_there_are_as_many_runs_as_were_asked_for():
    assert len(stability.configurations()) == 5 * 3 * 3 * 3 * 3


def test_a_run_is_kept_and_not_run_again(
    data_dir, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(stability, "EXAMPLES", 96)
    path = tmp_path / "stability.jsonl"
    arguments = ["--data-dir", str(data_dir), "--results", str(path)]
    for runs in (1, 2):
        stability.main([*arguments, "--limit", "1"])
        rows = read_lines(path)
        assert len(rows) == runs
        assert f"{runs} runs, 0 diverged" in capsys.readouterr().out
    assert rows[0]["configuration"] != rows[1]["configuration"]
    assert all(len(row["losses"]) == stability.EPOCHS + 1 for row in rows)
