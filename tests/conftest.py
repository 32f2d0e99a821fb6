import os

import keras
import pytest

BACKEND = keras.backend.backend()
if BACKEND == "jax":
    # Most of the time is XLA's, which compiles what runs but once or twice.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 "
        "--xla_llvm_disable_expensive_passes=true",
    )


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
    """Double precision everywhere, so that only true differences are seen.

    The dtype policy is cached when it is first asked for, and does not follow
    `set_floatx` from then on.
    """
    floatx = keras.config.floatx()
    policy = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    _allow_double_precision(True)
    yield
    _allow_double_precision(False)
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def _allow_double_precision(allowed):
    """Elsewhere than on TensorFlow Keras promotes it to single precision."""
    if BACKEND == "tensorflow":
        return
    from keras.src.backend.common import dtypes

    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64" if allowed else "float32"
    if BACKEND == "jax":
        import jax

        # JAX has none unless it is told to.
        jax.config.update("jax_enable_x64", allowed)
