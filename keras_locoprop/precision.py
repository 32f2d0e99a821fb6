"""Half precision and what is not to be computed in it."""

import keras
from keras import ops


def full_precision(dtype=None):
    """The name of a floating type, or of Keras's default, but single at least.

    Args:
        dtype: String. Defaults to `keras.config.floatx()`.
    """
    dtype = dtype or keras.config.floatx()
    return dtype if dtype == "float64" else "float32"


def in_full_precision(tensor):
    """Casts half precision to single; targets are small steps away."""
    return ops.cast(
        tensor, full_precision(keras.backend.standardize_dtype(tensor.dtype))
    )
