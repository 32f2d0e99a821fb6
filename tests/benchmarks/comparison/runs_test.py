import keras
import numpy as np
import pytest

from benchmarks import records
from benchmarks.comparison import runs
from benchmarks.comparison.peers import PEERS

ADAM = {
    "purpose": "final",
    "problem": "tiny",
    "optimizer": "Adam",
    "settings": PEERS["Adam"].start,
    "epochs": 1,
    "seed": 0,
}


def test_a_file_is_of_one_backend(runner, monkeypatch):
    row = runner.obtain(ADAM)
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    assert runner.obtain(ADAM) == row
    with pytest.raises(ValueError, match="`results` must .*=another, "):
        runner.obtain(ADAM | {"seed": 1})
    assert records.read_lines(runner.results) == [row]


def records_of_a_peer(tmp_path, script):
    """What is yielded of a peer whose interpreter is a shell script."""
    interpreter = tmp_path / "interpreter"
    interpreter.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    interpreter.chmod(0o755)
    data = {"x_train": np.zeros((1, 1))}
    return runs._elsewhere(str(interpreter), "torch_peer", {}, data, [])


def test_records_of_a_peer(tmp_path):
    script = """echo '{"versions": {}}'; echo '{"epoch": 0}'"""
    records = list(records_of_a_peer(tmp_path, script))
    assert records == [{"versions": {}}, {"epoch": 0}]


@pytest.mark.parametrize(
    ("begins", "end", "error", "message"),
    [
        (True, "echo no root >&2; exit 1", runs.RunFailed, "^no root$"),
        (True, "exit 3", runs.RunFailed, "^exit status 3$"),
        (False, "echo no torch >&2; exit 1", RuntimeError, "1: no torch$"),
        (True, "echo a warning >&2; kill -9 $$", RuntimeError, "status -9"),
        (True, "kill -9 $$", RuntimeError, "status -9"),
    ],
)
def test_a_peer_that_ends_early(tmp_path, begins, end, error, message):
    begin = """echo '{"epoch": 0}'; """ if begins else ""
    records = records_of_a_peer(tmp_path, begin + end)
    if begins:
        assert next(records) == {"epoch": 0}
    with pytest.raises(error, match=message) as raised:
        next(records)
    assert raised.type is error
