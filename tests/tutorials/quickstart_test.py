import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tests.tutorials.quickstart_output import assert_has_results
from tests.tutorials.quickstart_output import assert_is_a_picture

pytestmark = pytest.mark.backends

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"


def test_script_runs(package_on_path, tmp_path):
    picture = tmp_path / "picture.png"
    command = [sys.executable, TUTORIALS / "quickstart.py"]
    command += ["--examples", "200", "--epochs", "2", "--batch-size", "100"]
    finished = subprocess.run(
        [*command, "--output", picture],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stderr
    assert "200 digits to train on, 2000 to test on" in finished.stdout
    assert "Loaded: Sequential, after 4 steps" in finished.stdout
    assert f"on {keras.backend.backend()}." in finished.stdout
    assert_has_results(finished.stdout)
    assert_is_a_picture(picture)


def test_script_refuses_unknown_arguments(package_on_path, tmp_path):
    finished = subprocess.run(
        [sys.executable, TUTORIALS / "quickstart.py", "--epoch-count", "2"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert finished.returncode == 2
    assert "unrecognized arguments" in finished.stderr
