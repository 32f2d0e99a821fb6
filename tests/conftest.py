import gc
import os

import keras
import pytest

from tests.double_precision import BACKEND
from tests.double_precision import double_precision

if BACKEND == "jax":
    # Most of the time is XLA's, which compiles what runs but once or twice.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 "
        "--xla_llvm_disable_expensive_passes=true",
    )


if BACKEND == "tensorflow":
    # Tracing makes objects by the million, and few of them are garbage: at the
    # usual thresholds a sixth of the time is spent looking for it.
    gc.set_threshold(200_000, 20, 100)


def pytest_ignore_collect(collection_path):
    """Elsewhere than on TensorFlow what is not of the core is not imported."""
    if BACKEND == "tensorflow" or collection_path.suffix not in ("", ".py"):
        return None
    files = [collection_path]
    if collection_path.is_dir():
        files = collection_path.rglob("*_test.py")
    elif not collection_path.name.endswith("_test.py"):
        return None
    in_core = any("mark.backends" in file.read_text() for file in files)
    return None if in_core else True


def pytest_collection_modifyitems(items):
    """Skips what is not for this backend, and says why."""
    for item in items:
        for exception in item.iter_markers("not_on"):
            if BACKEND in exception.args:
                reason = f"not on {BACKEND}: {exception.kwargs['reason']}"
                item.add_marker(pytest.mark.skip(reason=reason))
        if BACKEND != "tensorflow" and not item.get_closest_marker("backends"):
            reason = f"on {BACKEND} only tests marked `backends` run"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(1234)


@pytest.fixture(autouse=True, scope="module")
def compiled_steps():
    """On JAX they are kept, and gigabytes of them, until they are dropped."""
    yield
    if BACKEND == "jax":
        import jax

        jax.clear_caches()


@pytest.fixture
def float64():
    with double_precision():
        yield
