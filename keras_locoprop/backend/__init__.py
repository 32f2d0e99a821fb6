"""The one place where a framework is named."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "keras_locoprop runs on the TensorFlow backend of Keras. "
        f"Received: keras.backend.backend()={keras.backend.backend()!r}. "
        "Set the environment variable KERAS_BACKEND=tensorflow before Keras "
        "is imported."
    )

from keras_locoprop.backend.tensorflow import compiled as compiled  # noqa: E402
from keras_locoprop.backend.tensorflow import (  # noqa: E402
    differentiate as differentiate,
)
from keras_locoprop.backend.tensorflow import gradient as gradient  # noqa: E402
from keras_locoprop.backend.tensorflow import replicas as replicas  # noqa: E402
from keras_locoprop.backend.tensorflow import rows as rows  # noqa: E402
from keras_locoprop.backend.tensorflow import snapshot as snapshot  # noqa: E402
