import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def package_on_path(monkeypatch):
    """Processes started by a test find the package, installed or not."""
    path = os.pathsep.join(
        filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    )
    monkeypatch.setenv("PYTHONPATH", path)
