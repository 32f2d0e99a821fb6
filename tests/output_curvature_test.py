"""Curvature of losses in the outputs, against closed forms."""

import keras
import numpy as np
import pytest
from keras import losses

from keras_locoprop.output_curvature import OutputPoint
from keras_locoprop.output_curvature import gauss_newton_products
from keras_locoprop.output_curvature import output_point
from keras_locoprop.output_curvature import sampled_gradients
from keras_locoprop.tap import Record

pytestmark = pytest.mark.backends

ROWS, UNITS = 20_000, 3


@pytest.fixture
def outputs():
    return np.tile([[0.3, -0.8, 1.1]], (ROWS, 1)).astype("float32")


@pytest.fixture
def targets():
    return np.tile([[0.2, 0.5, 0.3]], (ROWS, 1)).astype("float32")


def second_moment(loss, targets, value, is_softmax=False, is_sum=False):
    point = OutputPoint(
        keras.ops.convert_to_tensor(value),
        keras.activations.linear,
        is_softmax,
        is_sum=is_sum,
    )
    targets = keras.ops.convert_to_tensor(targets)
    [gradient] = sampled_gradients(
        lambda values: loss(targets, values[0]),
        [point],
        ROWS,
        keras.random.SeedGenerator(0),
    )
    gradient = np.asarray(gradient)
    return gradient.T @ gradient / ROWS


def softmax(z):
    p = np.exp(z - z.max())
    return p / p.sum()


def test_squared_error(outputs, targets):
    moment = second_moment(losses.MeanSquaredError(), targets, outputs)
    np.testing.assert_allclose(moment, 2 / UNITS * np.eye(UNITS), atol=0.02)


def test_a_loss_of_ones_own_that_takes_outputs_one_by_one(outputs, targets):
    def quartic(y, z):
        return keras.ops.mean(keras.ops.sum((z - y) ** 4, axis=-1))

    moment = second_moment(quartic, targets, outputs)
    expected = np.diag(12 * (outputs[0] - targets[0]) ** 2)
    np.testing.assert_allclose(moment, expected, atol=0.02 * expected.max())


def test_softmax_weighs_examples_as_the_loss_does(outputs, targets):
    p = softmax(outputs[0])
    expected = np.diag(p) - np.outer(p, p)
    loss = losses.CategoricalCrossentropy(from_logits=True)

    def tripled(y, z):
        return 3 * loss(y, z)

    for scaled, factor in ((loss, 1), (tripled, 3)):
        moment = second_moment(scaled, targets, outputs, is_softmax=True)
        np.testing.assert_allclose(moment, factor * expected, atol=0.02)


@pytest.mark.parametrize(
    "loss", [losses.MeanAbsoluteError(), losses.CosineSimilarity()]
)
def test_elsewhere_the_gradients_themselves(loss, outputs, targets):
    moment = second_moment(loss, targets, outputs)
    point = keras.ops.convert_to_tensor(outputs)
    [step] = np.eye(UNITS, dtype="float32")[None]
    gradient = [
        float(
            loss(targets[:1], outputs[:1] + 1e-2 * e)
            - loss(targets[:1], outputs[:1] - 1e-2 * e)
        )
        / 2e-2
        for e in step
    ]
    del point
    np.testing.assert_allclose(
        moment, np.outer(gradient, gradient), rtol=1e-2, atol=1e-3
    )


def test_elsewhere_of_a_sum_the_sum_over_examples(outputs, targets):
    loss = losses.MeanAbsoluteError
    of_mean = second_moment(loss(), targets, outputs)
    of_sum = second_moment(loss(reduction="sum"), targets, outputs, is_sum=True)
    np.testing.assert_allclose(of_sum, ROWS * of_mean, rtol=1e-4)


def test_products_of_a_loss_without_curvature(outputs, targets):
    """Those of the mean outer product of the gradients."""
    loss = losses.MeanAbsoluteError()
    value = keras.ops.convert_to_tensor(outputs[:4])
    tangent = np.random.normal(size=(4, UNITS)).astype("float32")
    [[product]] = gauss_newton_products(
        lambda values: loss(targets[:4], values[0]),
        [value],
        [[keras.ops.convert_to_tensor(tangent)]],
        [4],
    )
    signs = np.sign(outputs[:4] - targets[:4]) / UNITS
    expected = signs * np.sum(signs * tangent, axis=1, keepdims=True) / 4
    np.testing.assert_allclose(product, expected, rtol=1e-5)


def test_products_of_one_curved_loss_beside_another(outputs, targets):
    values = [keras.ops.convert_to_tensor(outputs[:4])] * 2
    tangents = np.random.normal(size=(2, 4, UNITS)).astype("float32")
    tangents = list(map(keras.ops.convert_to_tensor, tangents))
    both = losses.MeanSquaredError(), losses.MeanAbsoluteError()

    def alone(loss, value, tangent):
        [[product]] = gauss_newton_products(
            lambda values: loss(targets[:4], values[0]),
            [value],
            [[tangent]],
            [4],
        )
        return product

    [products] = gauss_newton_products(
        lambda values: sum(
            loss(targets[:4], value)
            for loss, value in zip(both, values, strict=True)
        ),
        values,
        [tangents],
        [4, 4],
    )
    for loss, value, tangent, product in zip(
        both, values, tangents, products, strict=True
    ):
        np.testing.assert_allclose(product, alone(loss, value, tangent))


def test_products_are_those_with_the_hessian(outputs, targets):
    loss = losses.CategoricalCrossentropy(from_logits=True)
    value = keras.ops.convert_to_tensor(outputs[:4])
    tangent = np.random.normal(size=(4, UNITS)).astype("float32")
    [[product]] = gauss_newton_products(
        lambda values: loss(targets[:4], values[0]),
        [value],
        [[keras.ops.convert_to_tensor(tangent)]],
        [4],
    )
    p = softmax(outputs[0])
    expected = tangent @ (np.diag(p) - np.outer(p, p)) / 4
    np.testing.assert_allclose(product, expected, rtol=1e-4, atol=1e-6)


LOGITS_OF = {
    "binary_crossentropy": keras.activations.sigmoid,
    losses.binary_crossentropy: keras.activations.sigmoid,
    losses.BinaryCrossentropy(): keras.activations.sigmoid,
    "categorical_crossentropy": keras.activations.softmax,
    "sparse_categorical_crossentropy": keras.activations.softmax,
}


@pytest.mark.parametrize(
    "loss", LOGITS_OF, ids=["name", "function", "class", "softmax", "sparse"]
)
@pytest.mark.parametrize("module", [keras.activations, keras.ops])
def test_probabilities_are_looked_at_as_logits(loss, module):
    z, y = keras.ops.zeros((2, 3)), keras.ops.ones((2, 3))
    activation = getattr(module, LOGITS_OF[loss].__name__)
    record = Record(None, None, z, False, activation, y)
    point = output_point(y, loss, [record])
    assert point.value is z
    assert point.activation is LOGITS_OF[loss]
    assert point.is_softmax == (LOGITS_OF[loss] is keras.activations.softmax)


@pytest.mark.parametrize(
    "loss",
    ["mse", losses.BinaryCrossentropy(from_logits=True), None],
    ids=["squared", "logits", "none"],
)
def test_other_outputs_are_looked_at_as_they_are(loss):
    z, y = keras.ops.zeros((2, 3)), keras.ops.ones((2, 3))
    record = Record(None, None, z, False, keras.activations.sigmoid, y)
    assert output_point(y, loss, [record]).value is y
