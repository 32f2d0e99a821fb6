import keras
import pytest


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(1234)


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
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
