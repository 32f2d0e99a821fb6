"""The contract of layer kinds: every registered one runs through it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_locoprop import layers

# Instances of each kind with the shape of their input.
INSTANCES = {
    keras.layers.Dense: [
        (lambda: keras.layers.Dense(3), (6, 4)),
        (lambda: keras.layers.Dense(3, use_bias=False), (6, 4)),
        (lambda: keras.layers.Dense(3), (6, 5, 4)),
        (lambda: keras.layers.Dense(3), (6, 5, 2, 4)),
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
        return layer, tf.constant(np.random.normal(size=shape))

    return build


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_preactivation_is_the_linear_layer(make, shape, build):
    layer, inputs = build(make, shape)
    kind = layers.layer_kind_of(layer)
    np.testing.assert_allclose(
        kind.preactivation(layer, inputs), layer(inputs), rtol=1e-12
    )


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_weight_gradients_are_the_vector_jacobian_product(make, shape, build):
    layer, inputs = build(make, shape)
    kind = layers.layer_kind_of(layer)
    with tf.GradientTape() as tape:
        outputs = layer(inputs)
        residual = tf.constant(np.random.normal(size=outputs.shape))
        total = tf.reduce_sum(outputs * residual)
    weights = kind.weights(layer)
    expected = tape.gradient(total, [weight.value for weight in weights])
    actual = kind.weight_gradients(layer, inputs, residual)
    assert len(actual) == len(weights)
    for gradient, by_tape in zip(actual, expected, strict=True):
        np.testing.assert_allclose(gradient, by_tape, rtol=1e-9)


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
