import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from keras_locoprop import losses
from keras_locoprop import register_matching_loss

pytestmark = pytest.mark.backends

NAMES = [
    "elu",
    "exponential",
    "hard_sigmoid",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]
LOSSES = [
    pytest.param(loss, id=loss.name)
    for loss in losses.registered_matching_losses()
]


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    preactivation = generator.normal(scale=3.0, size=(40, 4))
    target = generator.normal(size=(40, 4))
    return preactivation, target


def test_every_activation_asked_for_is_registered():
    registered = [loss.name for loss in losses.registered_matching_losses()]
    assert set(NAMES) <= set(registered)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_that_of_the_value(loss, rows, float64):
    preactivation, target = rows
    gradient = ops.convert_to_numpy(loss.gradient(preactivation, target))
    width = 1e-6
    for unit in range(preactivation.shape[1]):
        shift = width * np.eye(preactivation.shape[1])[unit]
        rise = loss.value(preactivation + shift, target) - loss.value(
            preactivation - shift, target
        )
        np.testing.assert_allclose(
            ops.convert_to_numpy(rise) / (2 * width),
            gradient[:, unit],
            rtol=1e-6,
            atol=1e-6,
        )


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_activation_minus_target(loss, rows, float64):
    preactivation, target = rows
    activation = keras.activations.get(loss.name)
    np.testing.assert_allclose(
        loss.gradient(preactivation, target),
        ops.convert_to_numpy(activation(preactivation)) - target,
        rtol=1e-12,
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_convex(loss, rows, float64):
    preactivation, target = rows
    other = preactivation[::-1]
    middle = loss.value((preactivation + other) / 2, target)
    ends = loss.value(preactivation, target) + loss.value(other, target)
    assert np.all(ops.convert_to_numpy(ends / 2 - middle) > -1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_minimum_is_where_the_activation_meets_the_target(loss, rows, float64):
    preactivation, _ = rows
    target = ops.convert_to_numpy(loss.activation(preactivation))
    least = loss.value(preactivation, target)
    for shift in (-0.3, 0.3, np.array([0.5, -0.5, 0.1, 0.0])):
        higher = loss.value(preactivation + shift, target)
        assert np.all(ops.convert_to_numpy(higher - least) > -1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_overflow_where_the_activation_has_none(loss):
    preactivation = np.array([[-80.0, -1.0, 0.0, 80.0]], "float32")
    target = np.zeros_like(preactivation)
    results = [loss.gradient(preactivation, target)]
    if loss.name != "exponential":
        results.append(loss.value(preactivation, target))
    for result in results:
        assert np.all(np.isfinite(ops.convert_to_numpy(result)))


def test_squared_loss_is_that_of_the_linear_activation(rows, float64):
    preactivation, target = rows
    loss = losses.matching_loss_of(None)
    squared = 0.5 * np.sum((preactivation - target) ** 2, axis=-1)
    constant = 0.5 * np.sum(target**2, axis=-1)
    np.testing.assert_allclose(
        loss.value(preactivation, target), squared - constant, rtol=1e-9
    )


@pytest.mark.parametrize("name", ["relu", "tanh", "softmax", "sigmoid"])
def test_the_function_of_keras_ops_is_the_same_activation(name):
    of_ops = losses.matching_loss_of(getattr(keras.ops, name))
    assert of_ops is losses.matching_loss_of(keras.activations.get(name))


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "hard_silu"])
def test_activations_that_are_not_monotone_have_none(name):
    activation = keras.activations.get(name)
    assert losses.matching_loss_of(activation) is None
    assert losses.is_non_monotone(activation)


def test_register_own_activation():
    def shrunk(z):
        return z / ops.sqrt(1.0 + ops.square(z))

    loss = register_matching_loss(
        shrunk, lambda z: ops.sqrt(1.0 + ops.square(z))
    )
    assert losses.matching_loss_of(shrunk) is loss
    assert loss.name == "shrunk"


def test_register_in_double_precision(float64):
    register_matching_loss(lambda z: 2.0 * z, ops.square)


def test_register_activation_of_the_whole_row():
    def halved_softmax(z):
        return ops.softmax(z / 2.0)

    loss = register_matching_loss(
        halved_softmax,
        lambda z: 2.0 * ops.logsumexp(z / 2.0, axis=-1),
        elementwise=False,
    )
    assert losses.matching_loss_of(halved_softmax) is loss


@pytest.mark.parametrize(
    ("activation", "potential", "message"),
    [
        ("tanh", ops.square, "`activation` must be callable"),
        (ops.tanh, 3.0, "`potential` must be callable"),
        (lambda z: 2.0 * z, ops.square, None),
        (lambda z: z, ops.square, "`potential` must have `activation`"),
        (lambda z: -z, lambda z: -0.5 * z**2, "must be non-decreasing"),
        (ops.cos, ops.sin, "must be non-decreasing"),
    ],
    ids=["name", "number", "right", "factor", "falling", "wave"],
)
def test_register_checks_its_arguments(activation, potential, message):
    if message is None:
        register_matching_loss(activation, potential)
        return
    with pytest.raises(ValueError, match=message) as error:
        register_matching_loss(activation, potential)
    assert "Received: " in str(error.value)


@pytest.mark.parametrize(
    ("activation", "potential", "elementwise", "argument"),
    [
        (lambda z: z, lambda z: 0.5 * z**2, False, "potential"),
        (lambda z: z, lambda z: 0.5 * ops.sum(z**2, -1), True, "potential"),
        (lambda z: ops.sum(z, -1), lambda z: z, True, "activation"),
    ],
)
def test_register_checks_shapes(activation, potential, elementwise, argument):
    with pytest.raises(ValueError, match=f"`{argument}` must map.*Received: "):
        register_matching_loss(activation, potential, elementwise=elementwise)


def test_register_needs_something_to_find_it_by():
    @dataclasses.dataclass
    class Scaled:
        factor: float

        def __call__(self, z):
            return self.factor * z

    with pytest.raises(ValueError, match="`activation` must be hashable"):
        register_matching_loss(Scaled(2.0), lambda z: z**2)


def test_a_function_of_keras_ops_is_not_monotone_either():
    assert losses.is_non_monotone(ops.gelu)
