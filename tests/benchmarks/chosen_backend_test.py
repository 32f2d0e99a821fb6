import argparse
import subprocess
import sys

import keras
import pytest

from benchmarks import chosen_backend
from benchmarks import step_time
from benchmarks import time_to_loss

HERE = keras.backend.backend()
ELSEWHERE = next(b for b in chosen_backend.BACKENDS if b != HERE)


@pytest.fixture
def started(monkeypatch):
    """The processes that would have been started."""
    processes = []

    def run(command, env, check):
        assert check
        processes.append((command, env["KERAS_BACKEND"]))

    monkeypatch.setattr(subprocess, "run", run)
    return processes


def test_the_backend_is_that_of_keras_by_default():
    parser = argparse.ArgumentParser()
    chosen_backend.add_option(parser)
    options = parser.parse_args([])
    assert options.backend == HERE
    assert not chosen_backend.ran_elsewhere("module", options)


@pytest.mark.parametrize("benchmark", [step_time, time_to_loss])
def test_another_backend_has_a_process_of_its_own(benchmark, started):
    arguments = ["--backend", ELSEWHERE]
    benchmark.main(arguments)
    command = [sys.executable, "-m", benchmark.__name__, *arguments]
    assert started == [(command, ELSEWHERE)]


def test_an_unknown_backend_is_refused(capsys):
    with pytest.raises(SystemExit):
        step_time.main(["--backend", "theano"])
    assert "invalid choice: 'theano'" in capsys.readouterr().err
