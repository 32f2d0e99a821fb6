"""The contract of layer kinds: every registered one runs through it."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_locoprop import backend
from keras_locoprop import layers

pytestmark = pytest.mark.backends

# Instances of each kind with the shape of their input.
INSTANCES = {
    keras.layers.Dense: [
        (lambda: keras.layers.Dense(3), (6, 4)),
        (lambda: keras.layers.Dense(3, use_bias=False), (6, 4)),
        (lambda: keras.layers.Dense(3), (6, 5, 4)),
        (lambda: keras.layers.Dense(3), (6, 5, 2, 4)),
        (lambda: keras.layers.Dense(3, trainable=False), (6, 4)),
    ],
    keras.layers.Conv1D: [
        (lambda: keras.layers.Conv1D(3, 2), (6, 7, 4)),
        (lambda: keras.layers.Conv1D(3, 2, padding="causal"), (6, 7, 4)),
        (lambda: keras.layers.Conv1D(4, 3, dilation_rate=2), (6, 9, 4)),
    ],
    keras.layers.Conv2D: [
        (lambda: keras.layers.Conv2D(3, 2), (6, 5, 4, 4)),
        (lambda: keras.layers.Conv2D(3, 3, strides=2), (6, 7, 7, 4)),
        (lambda: keras.layers.Conv2D(3, 3, padding="same"), (6, 5, 4, 4)),
        (lambda: keras.layers.Conv2D(3, 2, dilation_rate=2), (6, 5, 4, 4)),
        (lambda: keras.layers.Conv2D(6, 2, groups=2), (6, 5, 4, 4)),
        (lambda: keras.layers.Conv2D(3, 2, use_bias=False), (6, 5, 4, 4)),
    ],
    keras.layers.Conv3D: [
        (lambda: keras.layers.Conv3D(3, 2, strides=2), (3, 4, 4, 4, 2)),
    ],
    keras.layers.Conv1DTranspose: [
        (lambda: keras.layers.Conv1DTranspose(3, 2, strides=2), (6, 5, 4)),
    ],
    keras.layers.Conv2DTranspose: [
        (lambda: keras.layers.Conv2DTranspose(3, 2, strides=2), (6, 3, 4, 4)),
    ],
    keras.layers.Conv3DTranspose: [
        (lambda: keras.layers.Conv3DTranspose(2, 2), (3, 2, 3, 2, 4)),
    ],
    keras.layers.DepthwiseConv1D: [
        (lambda: keras.layers.DepthwiseConv1D(3, padding="same"), (6, 5, 4)),
    ],
    keras.layers.DepthwiseConv2D: [
        (
            lambda: keras.layers.DepthwiseConv2D(2, depth_multiplier=2),
            (6, 4, 5, 3),
        ),
    ],
    keras.layers.SeparableConv1D: [
        (lambda: keras.layers.SeparableConv1D(3, 2, strides=2), (6, 7, 4)),
    ],
    keras.layers.SeparableConv2D: [
        (lambda: keras.layers.SeparableConv2D(3, 2), (6, 4, 5, 4)),
    ],
    keras.layers.EinsumDense: [
        (
            lambda: keras.layers.EinsumDense(
                "btf,fhd->bthd", (5, 2, 3), bias_axes="hd"
            ),
            (6, 5, 4),
        ),
        (
            lambda: keras.layers.EinsumDense("bthd,hdf->btf", (5, 4)),
            (6, 5, 2, 3),
        ),
        (
            lambda: keras.layers.EinsumDense("...x,xy->...y", 3, bias_axes="y"),
            (6, 5, 4),
        ),
    ],
    keras.layers.TimeDistributed: [
        (
            lambda: keras.layers.TimeDistributed(keras.layers.Dense(3)),
            (6, 5, 4),
        ),
        (
            lambda: keras.layers.TimeDistributed(keras.layers.Conv2D(3, 2)),
            (3, 2, 4, 4, 2),
        ),
    ],
}
CASES = [
    pytest.param(make, shape, id=f"{layer_class.__name__}-{i}")
    for layer_class, instances in INSTANCES.items()
    for i, (make, shape) in enumerate(instances)
]


def test_every_kind_is_tested():
    classes = {kind.layer_class for kind in layers.registered_layer_kinds()}
    assert classes == set(INSTANCES)


@pytest.fixture
def build(float64):
    def build(make, shape):
        layer = make()
        layer.build(shape)
        for weight in layer.weights:
            weight.assign(np.random.normal(size=weight.shape))
        return layer, ops.convert_to_tensor(np.random.normal(size=shape))

    return build


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_preactivation_is_the_linear_layer(make, shape, build):
    layer, inputs = build(make, shape)
    kind = layers.layer_kind_of(layer)
    np.testing.assert_allclose(
        ops.convert_to_numpy(kind.preactivation(layer, inputs)),
        ops.convert_to_numpy(layer(inputs)),
        rtol=1e-12,
    )


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_weight_gradients_are_the_vector_jacobian_product(make, shape, build):
    layer, inputs = build(make, shape)
    kind = layers.layer_kind_of(layer)
    weights = kind.weights(layer)
    residual = np.random.normal(size=layer(inputs).shape)
    residual = ops.convert_to_tensor(residual)
    _, _, expected = backend.differentiate(
        lambda: (ops.sum(layer(inputs) * residual), [], None), weights
    )
    actual = kind.weight_gradients(layer, inputs, residual)
    assert len(actual) == len(weights)
    for gradient, as_a_whole in zip(actual, expected, strict=True):
        np.testing.assert_allclose(gradient, as_a_whole, rtol=1e-9)


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_weights_are_all_of_the_layer(make, shape, build):
    layer, _ = build(make, shape)
    weights = layers.layer_kind_of(layer).weights(layer)
    assert [w.path for w in weights] == [w.path for w in layer.weights]


def test_a_subclass_is_not_served():
    class Doubled(keras.layers.Dense):
        def call(self, inputs):
            return 2.0 * super().call(inputs)

    assert layers.layer_kind_of(Doubled(3)) is None


def test_dense_declines_lora_and_quantized_kernels():
    kind = layers.layer_kind_of(keras.layers.Dense(3))
    plain = keras.layers.Dense(3)
    plain.build((None, 4))
    assert kind.reason_to_decline(plain) is None
    adapted = keras.layers.Dense(3)
    adapted.build((None, 4))
    adapted.enable_lora(2)
    assert "LoRA" in kind.reason_to_decline(adapted)
    quantized = keras.layers.Dense(3)
    quantized.build((None, 4))
    quantized.quantize("int8")
    assert "quantized" in kind.reason_to_decline(quantized)


# Of a layer on an input: inputs of a unit, units of an input, axes of units.
SIZES = [
    (lambda: keras.layers.Dense(3), (6, 5, 4), (4, 3), [2]),
    (lambda: keras.layers.Conv2D(6, 3), (2, 5, 5, 4), (36, 54), [3]),
    (
        lambda: keras.layers.DepthwiseConv2D(3, depth_multiplier=2),
        (2, 5, 5, 4),
        (9, 18),
        [3],
    ),
    (lambda: keras.layers.SeparableConv1D(5, 3), (2, 6, 4), (4, 5), [2]),
    (lambda: keras.layers.Conv1DTranspose(6, 2), (2, 5, 4), (8, 12), [2]),
    (
        lambda: keras.layers.EinsumDense("btf,fhd->bthd", (5, 2, 3)),
        (6, 5, 4),
        (4, 6),
        [2, 3],
    ),
    (
        lambda: keras.layers.EinsumDense("...hd,hdf->...f", 5),
        (6, 5, 2, 3),
        (6, 5),
        [2],
    ),
    (
        lambda: keras.layers.EinsumDense("abc,bcd->abd", (3, 5)),
        (6, 3, 4),
        (4, 5),
        [1, 2],
    ),
    (
        lambda: keras.layers.EinsumDense("ab...,bc->ac...", (3, 5)),
        (6, 4, 5),
        (4, 3),
        [1],
    ),
    (
        lambda: keras.layers.TimeDistributed(keras.layers.Conv1D(3, 2)),
        (6, 5, 4, 2),
        (4, 6),
        [3],
    ),
]


@pytest.mark.parametrize(("make", "shape", "fans", "units"), SIZES)
def test_fans_and_units(make, shape, fans, units):
    layer = make()
    outputs = layer(ops.zeros(shape))
    kind = layers.layer_kind_of(layer)
    # A transposed kernel has its axes the other way round.
    assert sorted(kind.fans(layer)) == sorted(fans)
    assert sorted(kind.unit_axes(layer, outputs)) == units


def test_channels_may_come_first():
    layer = keras.layers.Conv2D(6, 3, data_format="channels_first")
    kind = layers.layer_kind_of(layer)
    assert kind.unit_axes(layer, ops.zeros((2, 6, 3, 3))) == (1,)


MATRICES = {
    "dense": (lambda: keras.layers.Dense(3), (4, 6, 5)),
    "convolution": (
        lambda: keras.layers.Conv2D(3, (2, 3), strides=2, padding="same"),
        (4, 7, 8, 2),
    ),
    "dilated": (
        lambda: keras.layers.Conv2D(3, 2, dilation_rate=2),
        (4, 7, 8, 2),
    ),
    "query": (
        lambda: keras.layers.EinsumDense(
            "abc,cde->abde", (6, 2, 3), bias_axes="de"
        ),
        (4, 6, 5),
    ),
    "attended": (
        lambda: keras.layers.EinsumDense(
            "abcd,cde->abe", (6, 5), bias_axes="e"
        ),
        (4, 6, 2, 3),
    ),
}


@pytest.mark.parametrize("name", MATRICES)
def test_layers_that_multiply_rows_by_a_matrix(name):
    make, shape = MATRICES[name]
    layer = make()
    inputs = ops.convert_to_tensor(np.random.normal(size=shape), "float32")
    layer(inputs)
    kind = layers.layer_kind_of(layer)
    weights = kind.weights(layer)
    weights[1].assign(np.random.normal(size=weights[1].shape))
    matrix_shape = kind.matrix_shape(layer)
    rows = kind.input_rows(layer, inputs)
    expected = rows @ ops.reshape(weights[0].value, matrix_shape)
    expected = expected + ops.reshape(weights[1].value, (1, -1))
    np.testing.assert_allclose(
        ops.convert_to_numpy(kind.output_rows(layer, layer(inputs))),
        ops.convert_to_numpy(expected),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: keras.layers.Conv2D(4, 2, groups=2), (3, 5, 5, 4)),
        (lambda: keras.layers.DepthwiseConv2D(2), (3, 5, 5, 4)),
        (lambda: keras.layers.EinsumDense("abc,bcd->abd", (3, 5)), (6, 3, 4)),
        (
            lambda: keras.layers.EinsumDense(
                "abc,cde->abde", (6, 2, 3), bias_axes="e"
            ),
            (4, 6, 5),
        ),
        # Several rows of the inputs make one of the outputs.
        (lambda: keras.layers.EinsumDense("abc,cd->ad", (3,)), (6, 5, 4)),
        (
            lambda: keras.layers.EinsumDense("abcd,de->acbe", (5, 2, 3)),
            (6, 2, 5, 4),
        ),
        # As many biases as units, but those of rows.
        (
            lambda: keras.layers.EinsumDense(
                "abc,cd->abd", (6, 6), bias_axes="b"
            ),
            (4, 6, 5),
        ),
    ],
)
def test_layers_that_do_not(make, shape):
    layer = make()
    layer(ops.zeros(shape))
    assert layers.layer_kind_of(layer).matrix_shape(layer) is None
