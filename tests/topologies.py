"""Small networks of many shapes, each given by its inputs and outputs."""

import keras
from keras import layers


def dense_stack(activations, units=4, **options):
    """Inputs and outputs of a stack of dense layers on 5 features."""
    inputs = hidden = layers.Input((5,))
    for activation in activations:
        hidden = layers.Dense(units, activation=activation, **options)(hidden)
    return inputs, hidden


def two_inputs_and_outputs():
    left, right = layers.Input((5,)), layers.Input((3,))
    hidden = layers.Concatenate()(
        [layers.Dense(4, "tanh")(left), layers.Dense(4, "relu")(right)]
    )
    first = layers.Dense(2, name="first")(hidden)
    second = layers.Dense(3, "sigmoid", name="second")(hidden)
    return [left, right], [first, second]


def shared_layer():
    shared = layers.Dense(5, "tanh")
    inputs = layers.Input((5,))
    return inputs, layers.Dense(2)(shared(shared(inputs)))


def siamese():
    shared = layers.Dense(4, "tanh")
    left, right = layers.Input((5,)), layers.Input((5,))
    outputs = layers.Dense(2)(layers.Subtract()([shared(left), shared(right)]))
    return [left, right], outputs


def sequence():
    inputs = layers.Input((6, 5))
    return inputs, layers.Dense(2)(layers.Dense(4, "tanh")(inputs))


def masked_sequence():
    inputs = layers.Input((6, 5))
    hidden = layers.Dense(4, "tanh")(layers.Masking(mask_value=0.0)(inputs))
    return inputs, layers.Dense(2)(hidden)


def nested():
    inner = keras.Model(*dense_stack(["tanh", "relu"]))
    inputs = layers.Input((5,))
    return inputs, layers.Dense(2)(inner(inputs))


def normalized():
    inputs = layers.Input((5,))
    hidden = layers.BatchNormalization()(layers.Dense(4)(inputs))
    hidden = layers.LayerNormalization()(layers.Dense(4, "tanh")(hidden))
    return inputs, layers.Dense(2)(hidden)


def dropped_out():
    inputs = layers.Input((5,))
    hidden = layers.Dropout(0.5, seed=7)(layers.Dense(8, "relu")(inputs))
    return inputs, layers.Dense(2)(hidden)


def partly_frozen():
    inputs = layers.Input((5,))
    hidden = layers.Dense(4, "tanh", trainable=False)(inputs)
    return inputs, layers.Dense(2)(layers.Dense(4, "tanh")(hidden))


def image():
    inputs = layers.Input((8, 8, 2))
    hidden = layers.Conv2D(3, 3, padding="same", activation="tanh")(inputs)
    hidden = layers.Conv2D(4, 3, strides=2, activation="relu")(hidden)
    return inputs, layers.Dense(2)(layers.Flatten()(hidden))


def other_convolutions():
    inputs = layers.Input((12, 4))
    hidden = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)(inputs)
    hidden = layers.Conv1D(4, 3, groups=2, activation="tanh")(hidden)
    hidden = layers.SeparableConv1D(3, 3)(hidden)
    hidden = layers.Conv1DTranspose(2, 3)(hidden)
    return inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden))


def einsum():
    inputs = layers.Input((6, 5))
    hidden = layers.EinsumDense(
        "btf,fhd->bthd", (6, 2, 3), bias_axes="hd", activation="tanh"
    )(inputs)
    hidden = layers.EinsumDense("bthd,hdf->btf", (6, 2))(hidden)
    return inputs, layers.Dense(2)(hidden)


def attention():
    inputs = layers.Input((6, 4))
    hidden = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    return inputs, layers.Dense(2)(layers.Add()([hidden, inputs]))


def activation_layers():
    inputs = layers.Input((5,))
    hidden = layers.Dense(4, activation=layers.LeakyReLU(0.25))(inputs)
    hidden = layers.Dense(4, activation=layers.PReLU())(hidden)
    return inputs, layers.Dense(2, activation=layers.Softmax())(hidden)


def recurrent():
    inputs = layers.Input((6, 4))
    return inputs, layers.Dense(2)(layers.LSTM(3)(inputs))


TOPOLOGIES = {
    "two_inputs_and_outputs": two_inputs_and_outputs,
    "shared_layer": shared_layer,
    "siamese": siamese,
    "sequence": sequence,
    "masked_sequence": masked_sequence,
    "nested": nested,
    "normalized": normalized,
    "dropped_out": dropped_out,
    "partly_frozen": partly_frozen,
    "image": image,
    "other_convolutions": other_convolutions,
    "einsum": einsum,
    "attention": attention,
    "activation_layers": activation_layers,
    "recurrent": recurrent,
}
