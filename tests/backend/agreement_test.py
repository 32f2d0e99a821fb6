"""After twenty steps the weights are the same on all backends."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.backend import runs

pytestmark = [pytest.mark.backends, pytest.mark.slow]

BACKENDS = ("tensorflow", "jax", "torch")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def here():
    return runs.train_all()


@pytest.fixture(scope="module", params=BACKENDS)
def elsewhere(request, tmp_path_factory):
    """Another backend needs another process."""
    if request.param == keras.backend.backend():
        pytest.skip("this is the backend itself")
    # The folder of the environment with that backend, if it is not this one.
    python = os.environ.get(f"PYTHON_WITH_{request.param.upper()}")
    if python is None:
        python = sys.executable
        if importlib.util.find_spec(request.param) is None:
            pytest.skip(f"{request.param} is not installed")
    path = tmp_path_factory.mktemp(request.param) / "weights.npz"
    subprocess.run(
        [python, "-m", "tests.backend.runs", str(path)],
        check=True,
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": request.param},
    )
    return dict(np.load(path))


@pytest.mark.parametrize("name", runs.RUNS)
def test_weights_agree(name, elsewhere, here):
    np.testing.assert_allclose(
        here[name], elsewhere[name], rtol=1e-3, atol=2e-4
    )
