"""Small models of every kind, and data that they can learn."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp

FEATURES, CLASSES, EXAMPLES = 6, 3, 70


class Subclassed(keras_locoprop.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8, "tanh")
        self.norm = layers.BatchNormalization()
        self.outputs_ = layers.Dense(CLASSES, "softmax")

    def call(self, inputs, training=False):
        return self.outputs_(self.norm(self.hidden(inputs), training=training))


class SubclassedStock(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8, "tanh")
        self.outputs_ = layers.Dense(CLASSES, "softmax")

    def call(self, inputs):
        return self.outputs_(self.hidden(inputs))


class UsedFunctionally(keras_locoprop.Model):
    pass


def stack():
    return [layers.Dense(8, "relu"), layers.Dense(CLASSES, "softmax")]


def functional():
    inputs = keras.Input((FEATURES,))
    hidden = layers.Dense(8, "relu")(inputs)
    return inputs, layers.Dense(CLASSES, "softmax")(hidden)


def nested():
    inner = keras.Sequential([keras.Input((FEATURES,)), *stack()])
    inputs = keras.Input((FEATURES,))
    return inputs, layers.Dense(CLASSES, "softmax")(inner(inputs))


MODELS = {
    "sequential": lambda: keras_locoprop.Sequential(stack()),
    "sequential_built": lambda: keras_locoprop.Sequential(
        [keras.Input((FEATURES,)), *stack()]
    ),
    "functional": lambda: keras_locoprop.Model(*functional()),
    "functional_by_name": lambda: keras_locoprop.Model(
        **dict(zip(("inputs", "outputs"), functional(), strict=True))
    ),
    "functional_subclass": lambda: UsedFunctionally(*functional()),
    "nested": lambda: keras_locoprop.Model(*nested()),
    "subclassed": Subclassed,
    "prepared_sequential": lambda: keras_locoprop.prepare(
        keras.Sequential(stack())
    ),
    "prepared_functional": lambda: keras_locoprop.prepare(
        keras.Model(*functional())
    ),
    "prepared_subclassed": lambda: keras_locoprop.prepare(SubclassedStock()),
}
all_models = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in MODELS.items()]
)


def make_data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, FEATURES)).astype("float32")
    return x, np.argmax(x[:, :CLASSES], axis=-1)


def compiled(make, optimizer=None, **options):
    keras.utils.set_random_seed(0)
    model = make()
    model.compile(
        optimizer=optimizer or LocoProp(),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **options,
    )
    return model


def weights_after_fit(model, data, **options):
    options = {"batch_size": 16, "epochs": 2, "verbose": 0} | options
    model.fit(*data, **options)
    return model.get_weights()


def assert_same(left, right, tolerance=1e-5):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=tolerance)
