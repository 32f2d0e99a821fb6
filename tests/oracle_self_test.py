"""The oracle is itself right.

Its activations, losses and optimizers are those of Keras, its backward pass is
that of finite differences, and with one step it is gradient descent.
"""

import dataclasses
import functools
import itertools

import keras
import numpy as np
import pytest

from tests import oracle
from tests import oracle_functions
from tests.oracle_functions import ACTIVATIONS
from tests.oracle_functions import LOSSES

# Keras holds some of these in single precision, whatever the weights are in; so
# they are binary fractions.
OPTIMIZERS = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.875}),
    "nesterov": ("SGD", {"momentum": 0.875, "nesterov": True}),
    "adagrad": ("Adagrad", {"initial_accumulator_value": 0.25}),
    "rmsprop": ("RMSprop", {"rho": 0.75, "epsilon": 1e-3}),
    "rmsprop_momentum": ("RMSprop", {"momentum": 0.875}),
    "adam": ("Adam", {"beta_1": 0.75, "beta_2": 0.96875, "epsilon": 1e-3}),
}

# TensorFlow holds the slope of a leaky ReLU in single precision.
TOLERANCES = {"leaky_relu": 1e-7}

# The last activation keeps the outputs where each loss is defined.
OUTPUT_ACTIVATIONS = {
    "summed_binary_crossentropy": "sigmoid",
    "binary_crossentropy": "sigmoid",
    "categorical_crossentropy": "softmax",
}


def numerical_gradient(function, x, step=1e-5):
    """Central differences of `function` at `x`; the output's axes go last."""
    columns = []
    for index in np.ndindex(x.shape):
        offset = np.zeros_like(x)
        offset[index] = step
        change = np.asarray(function(x + offset) - function(x - offset))
        columns.append(change / (2 * step))
    return np.reshape(columns, x.shape + columns[0].shape)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_that_of_keras(name, float64):
    z = np.random.default_rng(1).normal(size=(7, 5), scale=3.0)
    np.testing.assert_allclose(
        ACTIVATIONS[name].value(z),
        np.asarray(keras.activations.get(name)(keras.ops.convert_to_tensor(z))),
        rtol=TOLERANCES.get(name, 1e-12),
        atol=1e-14,
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_matching_loss_exists_where_claimed(name):
    """A gradient of a convex function has a symmetric, semidefinite Jacobian.

    It is asked for at many points, since one may pass by chance.
    """
    points = np.random.default_rng(2).normal(size=(50, 4), scale=2.0)
    jacobians = [numerical_gradient(ACTIVATIONS[name].value, z) for z in points]
    symmetric = all(np.allclose(j, j.T, atol=1e-6) for j in jacobians)
    lowest = min(np.linalg.eigvalsh(j + j.T).min() for j in jacobians)
    assert (symmetric and lowest > -1e-6) == ACTIVATIONS[name].has_matching_loss


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_against_finite_differences(activation, loss):
    generator = np.random.default_rng(3)
    output_activation = OUTPUT_ACTIVATIONS.get(loss, activation)
    layers = [
        oracle.DenseLayer(
            generator.normal(size=shape, scale=0.2),
            generator.normal(size=shape[1]),
            name,
        )
        for shape, name in [
            ((5, 4), activation),
            ((4, 6), activation),
            ((6, 3), output_activation),
        ]
    ]
    batch = {"x": generator.normal(size=(8, 5))}
    batch["y"] = oracle_functions.softmax(generator.normal(size=(8, 3)))
    batch["sample_weight"] = generator.uniform(size=8)

    def mean_loss(kernel, index):
        changed = dataclasses.replace(layers[index], kernel=kernel)
        changed = layers[:index] + [changed] + layers[index + 1 :]
        return np.mean(oracle.example_losses(changed, loss, **batch))

    for index, record in enumerate(oracle.backward(layers, loss, **batch)):
        expected = numerical_gradient(
            functools.partial(mean_loss, index=index), layers[index].kernel
        )
        actual = record.inputs.T @ record.gradient / len(record.inputs)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "loss", sorted(set(LOSSES) - {"summed_binary_crossentropy"})
)
def test_loss_is_that_of_keras(loss, float64):
    generator = np.random.default_rng(4)
    y = oracle_functions.softmax(generator.normal(size=(6, 4)))
    output = oracle_functions.softmax(generator.normal(size=(6, 4)))
    expected = keras.losses.get(loss)(y, keras.ops.convert_to_tensor(output))
    np.testing.assert_allclose(
        LOSSES[loss].value(y, output), np.asarray(expected), rtol=1e-12
    )


@pytest.mark.parametrize("case", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizer_is_that_of_keras(case, float64):
    name, hyperparameters = case
    generator = np.random.default_rng(5)
    weight = generator.normal(size=(3, 2))
    variable = keras.Variable(weight)
    theirs = getattr(keras.optimizers, name)(
        learning_rate=0.1, **hyperparameters
    )
    ours = getattr(oracle_functions, name)(**hyperparameters)
    for gradient in generator.normal(size=(4, 3, 2)):
        (weight,) = ours.apply([weight], [gradient], rates=[0.1])
        theirs.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        np.testing.assert_allclose(
            weight, np.asarray(variable), rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("variant", ["matching", "squared"])
def test_one_step_is_gradient_descent(variant, use_bias):
    generator = np.random.default_rng(6)
    layers = [
        oracle.DenseLayer(
            kernel=generator.normal(size=shape),
            bias=generator.normal(size=shape[1]) if use_bias else None,
            activation=activation,
            kernel_penalty=0.5,
        )
        for shape, activation in [((5, 4), "elu"), ((4, 3), "softmax")]
    ]
    x = generator.normal(size=(8, 5))
    y = oracle_functions.softmax(generator.normal(size=(8, 3)))
    starts = [layer.weights() for layer in layers]

    def objective(weight, layer, index):
        weights = starts[layer][:index] + [weight] + starts[layer][index + 1 :]
        changed = [dataclasses.replace(one) for one in layers]
        for one, start in zip(changed, starts, strict=True):
            one.assign(start)
        changed[layer].assign(weights)
        losses = oracle.example_losses(
            changed, "categorical_crossentropy", x, y
        )
        return np.mean(losses) + oracle.penalty(changed)

    rule = oracle.LocoProp(
        layers,
        "categorical_crossentropy",
        oracle_functions.SGD(),
        learning_rate=0.25,
        activation_learning_rate=0.5,
        variant=variant,
        gradient_scaling="absolute",
        learning_rate_scaling="absolute",
        inner_steps=1,
    )
    rule.train_on_batch(x, y)
    for layer, start in enumerate(starts):
        for index, (old, new) in enumerate(
            zip(start, layers[layer].weights(), strict=True)
        ):
            gradient = numerical_gradient(
                functools.partial(objective, layer=layer, index=index), old
            )
            np.testing.assert_allclose(
                new, old - 0.125 * gradient, rtol=1e-7, atol=1e-9
            )


def test_relative_scaling_forgets_the_scale_of_the_loss():
    generator = np.random.default_rng(7)
    x, y = generator.normal(size=(8, 5)), generator.normal(size=(8, 3))
    kernels = [generator.normal(size=shape) for shape in [(5, 4), (4, 3)]]

    def kernels_after(sample_weight):
        layers = [oracle.DenseLayer(k, None, "tanh") for k in kernels]
        oracle.LocoProp(
            layers,
            "mean_squared_error",
            oracle_functions.SGD(),
            learning_rate=0.25,
            activation_learning_rate=0.5,
        ).train_on_batch(x, y, sample_weight)
        return oracle.weights_of(layers)

    pairs = zip(
        kernels_after(np.full(8, 1.0)),
        kernels_after(np.full(8, 1000.0)),
        strict=True,
    )
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize(
    "rows, inner_batch_size, sizes",
    [
        (10, "all", [10]),
        (10, 4, [3, 3, 4]),
        (10, 5, [5, 5]),
        (3, 9, [3]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_slices(rows, inner_batch_size, sizes):
    slices = oracle.slices_of(rows, inner_batch_size)
    covered = itertools.chain.from_iterable(range(rows)[s] for s in slices)
    assert list(covered) == list(range(rows))
    assert [s.stop - s.start for s in slices] == sizes
