"""Subclasses of `keras_locoprop.Model`, whatever their constructors take."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp

pytestmark = pytest.mark.backends

FEATURES = 4


class Chain(keras_locoprop.Model):
    """Two positional arguments, as `Model(inputs, outputs)` has."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def call(self, x):
        return self.decoder(self.encoder(x))


class Graph(keras_locoprop.Model):
    """Makes a graph in a constructor of its own."""

    def __init__(self, units=3):
        inputs = keras.Input((FEATURES,))
        hidden = layers.Dense(units, "tanh")(inputs)
        super().__init__(inputs=inputs, outputs=layers.Dense(1)(hidden))


class GraphOfMore(Graph):
    def __init__(self):
        super().__init__(units=5)
        self.offset = self.add_weight(shape=(1,), initializer="ones")

    def call(self, inputs):
        return super().call(inputs) + self.offset


def make_chain():
    return Chain(layers.Dense(3, "tanh"), layers.Dense(1))


def trains(model):
    x = np.random.normal(size=(64, FEATURES)).astype("float32")
    model.compile(LocoProp(), "mse")
    losses = model.fit(x, x[:, :1], epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    return model


def test_two_positional_arguments_of_its_own():
    trains(make_chain())
    trains(Chain(encoder=layers.Dense(3, "tanh"), decoder=layers.Dense(1)))
    assert not issubclass(Chain, keras_locoprop.models.Functional)


@pytest.mark.parametrize("graph", [Graph, GraphOfMore])
def test_a_graph_of_its_own_leaves_other_subclasses_alone(graph):
    model = trains(graph())
    assert isinstance(model, keras_locoprop.models.Functional)
    assert len(model.outputs) == 1
    trains(make_chain())

    class Later(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    trains(Later())
    assert keras_locoprop.models.Functional not in (
        keras_locoprop.Model.__mro__ + Later.__mro__ + Chain.__mro__
    )


def test_a_model_of_inputs_and_outputs_after_all_of_these():
    trains(Graph())
    inputs = keras.Input((FEATURES,))
    model = keras_locoprop.Model(inputs, layers.Dense(1)(inputs))
    assert type(model) is keras_locoprop.models.Functional
    trains(model)
