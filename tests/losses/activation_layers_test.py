"""Activation layers: their losses, and their gradients by differences."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_locoprop.losses import is_activation_layer
from keras_locoprop.losses import matching_loss_of

pytestmark = pytest.mark.backends

LAYERS = {
    "relu": lambda: layers.ReLU(),
    "relu_bounded": lambda: layers.ReLU(max_value=1.5),
    "relu_leaky_and_bounded": lambda: layers.ReLU(
        max_value=2.0, negative_slope=0.3
    ),
    "leaky_relu": lambda: layers.LeakyReLU(0.2),
    "elu": lambda: layers.ELU(0.7),
    "activation": lambda: layers.Activation("softplus"),
    "prelu": lambda: layers.PReLU(keras.initializers.Constant(0.4)),
    "softmax": lambda: layers.Softmax(),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_the_gradient_of_the_potential_is_the_layer(make, float64):
    z = np.random.normal(scale=2.0, size=(40, 3))
    layer = make()
    expected = keras.ops.convert_to_numpy(layer(z))
    loss = matching_loss_of(layer)
    activated = keras.ops.convert_to_numpy(loss.activation(z))
    np.testing.assert_allclose(activated, expected, rtol=1e-12)
    for unit in range(3):
        step = np.zeros(3)
        step[unit] = 1e-6
        difference = loss.value(z + step, 0.0 * z) - loss.value(
            z - step, 0.0 * z
        )
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(difference) / 2e-6,
            expected[:, unit],
            atol=1e-6,
        )


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_it_works_in_another_precision_than_the_layer(make):
    """Layers in half precision are solved, and losses reported, in more."""
    layer = make()
    layer.build((40, 3))
    loss = matching_loss_of(layer)
    z = keras.ops.convert_to_tensor(np.random.normal(size=(40, 3)), "float16")
    assert (
        keras.backend.standardize_dtype(loss.activation(z).dtype) == "float16"
    )
    value = loss.value(z, z)
    assert keras.backend.standardize_dtype(value.dtype) == "float16"


def test_which_layers_are_activations():
    assert is_activation_layer(layers.ReLU())
    assert not is_activation_layer(layers.Dense(1))
    assert not is_activation_layer(keras.activations.relu)


@pytest.mark.parametrize(
    "layer", [layers.ReLU(threshold=0.5), layers.Softmax(axis=0)]
)
def test_layers_without_a_matching_loss(layer):
    assert matching_loss_of(layer) is None
