from benchmarks import records
from benchmarks import step_time_report


def record(seconds, **where):
    optimizers = {
        "Adam": {"step_seconds": seconds, "ratio_to_adam": 1.0},
        "LocoProp": {"step_seconds": 2.5 * seconds, "ratio_to_adam": 2.5},
    }
    figures = {"batch_size": 1000, "optimizers": optimizers}
    return {"problems": {"autoencoder": figures}, **where}


def test_backends_stand_side_by_side(tmp_path, capsys):
    path = tmp_path / "step_time.jsonl"
    # The first records name the backend by its version alone.
    for line in (
        record(9.0, versions={"keras": "3", "tensorflow": "2"}),
        record(0.1, versions={"keras": "3", "tensorflow": "2"}),
        record(0.3, backend="torch", versions={}),
        record(0.2, backend="jax", versions={}),
    ):
        records.append_line(path, line)
    step_time_report.main([str(path)])
    assert capsys.readouterr().out.splitlines() == [
        "autoencoder, batch size 1000",
        "",
        "| seconds (to Adam) | tensorflow | jax | torch |",
        "| --- | --- | --- | --- |",
        "| Adam | 0.10000 (1.00) | 0.20000 (1.00) | 0.30000 (1.00) |",
        "| LocoProp | 0.25000 (2.50) | 0.50000 (2.50) | 0.75000 (2.50) |",
        "",
    ]


def test_what_was_not_measured_is_left_blank():
    less = record(0.1, backend="jax")
    del less["problems"]["autoencoder"]["optimizers"]["LocoProp"]
    table = step_time_report.side_by_side([less, record(1.0, backend="torch")])
    assert "| LocoProp | – | 2.50000 (2.50) |" in table
