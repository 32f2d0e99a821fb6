import json

from benchmarks import records


def test_versions_tell_what_numbers_depend_on(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert "XLA_FLAGS" not in records.versions()
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=0")
    versions = records.versions()
    assert versions["XLA_FLAGS"] == "--xla_gpu_autotune_level=0"
    assert {"keras", "numpy", "keras_locoprop"} <= versions.keys()
    json.dumps(versions)


def test_a_machine_without_a_gpu_has_no_accelerator(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert records.accelerator() == {}


def test_what_is_appended_is_read(tmp_path):
    path = tmp_path / "folder" / "lines.jsonl"
    assert records.read_lines(path) == []
    written = [{"loss": 0.1, "of": [1, 2]}, {"loss": float("inf")}]
    for record in written:
        records.append_line(path, record)
    assert records.read_lines(path) == [written[0], {"loss": None}]


def test_a_line_that_was_not_written_to_its_end_is_none(tmp_path):
    path = tmp_path / "lines.jsonl"
    for content, losses in (
        ('{"loss": 0.12', []),
        ('{"loss": 1}\n{"loss": 0.12', [1]),
        ('{"loss": 1}\n{"loss": 0.12}', [1, 0.12]),
    ):
        path.write_text(content)
        for more in ([], [2], [2, 3]):
            if more:
                records.append_line(path, {"loss": more[-1]})
            found = [record["loss"] for record in records.read_lines(path)]
            assert found == losses + more
