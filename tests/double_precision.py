"""Double precision everywhere, so that only true differences are seen."""

import contextlib

import keras

BACKEND = keras.backend.backend()


@contextlib.contextmanager
def double_precision():
    """Within it floats are of double precision, on every backend.

    The dtype policy is cached when it is first asked for, and does not follow
    `set_floatx` from then on.
    """
    floatx = keras.config.floatx()
    policy = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    _allow(True)
    try:
        yield
    finally:
        _allow(False)
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def _allow(allowed):
    """Elsewhere than on TensorFlow Keras promotes it to single precision."""
    if BACKEND == "tensorflow":
        return
    from keras.src.backend.common import dtypes

    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64" if allowed else "float32"
    if BACKEND == "jax":
        import jax

        # JAX has none unless it is told to.
        jax.config.update("jax_enable_x64", allowed)
