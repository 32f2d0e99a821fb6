"""Small networks of many shapes, each given by its inputs and outputs."""

import keras
from keras import layers


def dense_stack(activations, units=4, **options):
    """Inputs and outputs of a stack of dense layers on 5 features."""
    inputs = hidden = layers.Input((5,))
    for activation in activations:
        hidden = layers.Dense(units, activation=activation, **options)(hidden)
    return inputs, hidden


def tied_weights():
    first, second = layers.Dense(5, "tanh"), layers.Dense(5, "relu")
    first.build((None, 5))
    second._kernel, second.bias = first._kernel, None
    second.built = True
    inputs = layers.Input((5,))
    return inputs, layers.Dense(2)(second(first(inputs)))


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


def dilated_and_grouped():
    inputs = layers.Input((9, 9, 4))
    hidden = layers.Conv2D(4, 3, dilation_rate=2, activation="tanh")(inputs)
    hidden = layers.Conv2D(6, 2, groups=2, use_bias=False)(hidden)
    return inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(hidden))


def convolutions_of_sequences():
    inputs = layers.Input((12, 4))
    hidden = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)(inputs)
    hidden = layers.Conv1D(4, 3, groups=2, activation="tanh")(hidden)
    return inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden))


def depthwise_and_separable():
    inputs = layers.Input((7, 7, 3))
    hidden = layers.DepthwiseConv2D(3, depth_multiplier=2)(inputs)
    hidden = layers.SeparableConv2D(4, 3, activation="relu")(hidden)
    return inputs, layers.Dense(2)(layers.Flatten()(hidden))


def upsampled():
    inputs = layers.Input((3, 3, 2))
    hidden = layers.Conv2DTranspose(3, 2, strides=2, activation="tanh")(inputs)
    return inputs, layers.Conv2DTranspose(1, 3, padding="same")(hidden)


def volume():
    inputs = layers.Input((4, 4, 4, 1))
    hidden = layers.Conv3D(3, 2, strides=2, activation="tanh")(inputs)
    hidden = layers.Conv3DTranspose(1, 2)(hidden)
    return inputs, layers.Dense(2)(layers.Flatten()(hidden))


def residual_with_normalization():
    inputs = layers.Input((6, 6, 3))
    hidden = layers.Conv2D(3, 3, padding="same", use_bias=False)(inputs)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    hidden = layers.Conv2D(3, 3, padding="same")(hidden)
    hidden = layers.ReLU()(layers.Add()([hidden, inputs]))
    return inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(hidden))


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


def masked_attention():
    inputs = layers.Input((6,))
    hidden = layers.Embedding(5, 4, mask_zero=True)(inputs)
    hidden = layers.MultiHeadAttention(2, 3)(hidden, hidden)
    hidden = layers.Dense(4, "relu")(layers.LayerNormalization()(hidden))
    return inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden))


def embedded():
    inputs = layers.Input((6,))
    hidden = layers.Embedding(5, 4)(inputs)
    return inputs, layers.Dense(2)(layers.Flatten()(hidden))


def time_distributed():
    inputs = layers.Input((4, 5, 5, 2))
    convolution = layers.Conv2D(3, 2, activation="tanh")
    hidden = layers.TimeDistributed(convolution)(inputs)
    hidden = layers.TimeDistributed(layers.Flatten())(hidden)
    return inputs, layers.TimeDistributed(layers.Dense(2, "relu"))(hidden)


def activations_as_arguments():
    inputs = layers.Input((5,))
    hidden = layers.Dense(4, activation=layers.LeakyReLU(0.25))(inputs)
    hidden = layers.Dense(4, activation=layers.PReLU())(hidden)
    return inputs, layers.Dense(2, activation=layers.Softmax())(hidden)


def activation_layers():
    inputs = hidden = layers.Input((5,))
    for activation in (
        layers.Activation("tanh"),
        layers.ReLU(max_value=0.5, negative_slope=0.125),
        layers.LeakyReLU(0.25),
        layers.PReLU("ones"),
        layers.ELU(),
        layers.Softmax(),
    ):
        hidden = activation(layers.Dense(4)(hidden))
    return inputs, layers.Dense(2)(hidden)


def activation_after_normalization():
    inputs = layers.Input((5,))
    hidden = layers.BatchNormalization()(layers.Dense(4)(inputs))
    return inputs, layers.Dense(2)(layers.Activation("relu")(hidden))


def recurrent():
    inputs = layers.Input((6, 4))
    return inputs, layers.Dense(2)(layers.LSTM(3)(inputs))


def bidirectional():
    inputs = layers.Input((6, 4))
    recurrent = layers.GRU(3, return_sequences=True)
    hidden = layers.Bidirectional(recurrent)(inputs)
    return inputs, layers.Dense(2, "tanh")(hidden)


def low_rank_adapted():
    inputs = layers.Input((5,))
    adapted = layers.Dense(4, "tanh")
    outputs = layers.Dense(2)(adapted(inputs))
    adapted.enable_lora(2)
    return inputs, outputs


def nested_twice():
    inner = keras.Model(*dense_stack(["tanh"], units=5))
    outer = keras.Sequential([layers.Input((5,)), inner, layers.Dense(3)])
    inputs = layers.Input((5,))
    return inputs, layers.Dense(2)(outer(inputs))


TOPOLOGIES = {
    topology.__name__: topology
    for topology in (
        two_inputs_and_outputs,
        shared_layer,
        siamese,
        tied_weights,
        sequence,
        masked_sequence,
        nested,
        nested_twice,
        normalized,
        dropped_out,
        partly_frozen,
        image,
        dilated_and_grouped,
        convolutions_of_sequences,
        depthwise_and_separable,
        upsampled,
        volume,
        residual_with_normalization,
        einsum,
        attention,
        masked_attention,
        embedded,
        time_distributed,
        activations_as_arguments,
        activation_layers,
        activation_after_normalization,
        recurrent,
        bidirectional,
        low_rank_adapted,
    )
}
