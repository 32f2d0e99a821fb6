"""What follows a layer is told by the graph that the model is made of."""

import copy

import keras
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import coverage

pytestmark = pytest.mark.backends

FEATURES = 5


def rows_of(model):
    return {row.layer: row for row in coverage(model)}


def dense():
    return layers.Dense(4, name="dense")


def added_to():
    model = keras_locoprop.Sequential()
    for part in (keras.Input((FEATURES,)), *stack_with_followers()):
        model.add(part)
    return model


def loaded(tmp_path):
    added_to().save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


def from_its_configuration(tmp_path):
    return keras_locoprop.Sequential.from_config(added_to().get_config())


def without_its_last_layers(tmp_path):
    model = added_to()
    model.add(layers.Activation("tanh"))
    model.pop()
    return model


def with_a_tail_of_its_own(tmp_path):
    """The same layers in the graph of another model."""
    whole = added_to()
    model = keras.Sequential(
        [whole.inputs[0], *whole.layers[:2], layers.Dense(2, name="tail")]
    )
    keras.Model(whole.inputs, layers.Activation("tanh")(whole.outputs[0]))
    return model


def copied(tmp_path):
    return copy.deepcopy(added_to())


def stack_with_followers():
    return [
        dense(),
        layers.ReLU(name="relu"),
        layers.Dense(4, name="normalized"),
        layers.BatchNormalization(name="norm"),
        layers.Dense(2, name="last"),
        layers.Softmax(name="softmax"),
    ]


@pytest.mark.parametrize(
    "make",
    [
        loaded,
        from_its_configuration,
        without_its_last_layers,
        with_a_tail_of_its_own,
        copied,
    ],
)
def test_however_a_model_came_about(make, tmp_path):
    rows = rows_of(make(tmp_path))
    assert rows["dense"].activation == "ReLU (relu)"
    if "normalized" in rows:
        assert "norm follows" in rows["normalized"].reason
        assert rows["last"].activation == "Softmax (softmax)"


def test_the_part_of_a_graph_that_a_model_is_made_of():
    inputs = keras.Input((FEATURES,))
    hidden = dense()(inputs)
    layers.Activation("tanh")(hidden)
    outputs = layers.ReLU(name="relu")(hidden)
    row = rows_of(keras.Model(inputs, outputs))["dense"]
    assert row.activation == "ReLU (relu)"


def test_an_operation_that_takes_it_too():
    inputs = keras.Input((FEATURES,))
    hidden = dense()(inputs)
    outputs = layers.ReLU()(hidden) + hidden
    row = rows_of(keras.Model(inputs, outputs))["dense"]
    assert row.activation == "linear"
