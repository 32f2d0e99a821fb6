"""One small model and its data, for all tests of what Keras promises."""

import keras
import numpy as np
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp

# The last of the three batches of an epoch is shorter.
FEATURES, CLASSES, EXAMPLES, BATCH_SIZE = 6, 3, 40, 16
BATCHES = 3


def make_data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, FEATURES)).astype("float32")
    return x, np.argmax(x[:, :CLASSES], axis=-1)


def make_model(optimizer=None, base=keras_locoprop.Sequential, **options):
    """Two layers with local problems and one without, of known weights."""
    keras.utils.set_random_seed(0)
    model = base(
        [
            keras.Input((FEATURES,)),
            layers.Dense(8, "tanh", name="hidden"),
            layers.LayerNormalization(name="norm"),
            layers.Dense(CLASSES, "softmax", name="last"),
        ]
    )
    if not isinstance(model, keras_locoprop.Sequential):
        keras_locoprop.prepare(model)
    # A handful of batches is over before a graph of them would be traced.
    options = {"run_eagerly": True} | options
    model.compile(
        LocoProp() if optimizer is None else optimizer,
        "sparse_categorical_crossentropy",
        **options,
    )
    return model


def fit(model, epochs=1, **options):
    data = make_data() if "x" not in options else ()
    options = {"batch_size": BATCH_SIZE, "shuffle": False} | options
    return model.fit(*data, epochs=epochs, verbose=0, **options)


def assert_same_weights(left, right, **tolerance):
    """Bit by bit, unless there is a tolerance."""
    tolerance = {"rtol": 0, "atol": 0} | tolerance
    for one, other in zip(weights_of(left), weights_of(right), strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def assert_other_weights(left, right):
    pairs = zip(weights_of(left), weights_of(right), strict=True)
    assert any(np.any(one != other) for one, other in pairs)


def weights_of(model):
    return model if isinstance(model, list) else model.get_weights()
