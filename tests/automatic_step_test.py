"""Exact solutions, full output scaling and an automatic step: K-FAC, densely.

The curvature of a small network is computed here with explicit Jacobians and
Kronecker products, in double precision.
"""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop.automatic_step import ADAPTATION_FACTOR
from keras_locoprop.automatic_step import ADAPTATION_PERIOD
from keras_locoprop.automatic_step import EXAMPLES_FOR_HALF_THE_MOMENTUM
from keras_locoprop.automatic_step import FACTOR_AFTER_HARM
from keras_locoprop.automatic_step import INITIAL_DAMPING

pytestmark = pytest.mark.backends

FEATURES, HIDDEN, OUTPUTS, EXAMPLES = 4, 5, 3, 12

# By the activation of the output: the loss's Hessian in the logits, and its
# gradient.
LOSSES = {
    "mse": (
        "linear",
        lambda z: np.eye(OUTPUTS) * 2 / OUTPUTS,
        lambda z, y: 2 * (z - y) / OUTPUTS,
    ),
    "binary_crossentropy": (
        "sigmoid",
        lambda z: np.diag(sigmoid(z) * (1 - sigmoid(z))) / OUTPUTS,
        lambda z, y: (sigmoid(z) - y) / OUTPUTS,
    ),
    "categorical_crossentropy": (
        "softmax",
        lambda z: np.diag(softmax(z)) - np.outer(softmax(z), softmax(z)),
        lambda z, y: softmax(z) - y,
    ),
}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z))


def make(loss, **arguments):
    activation = LOSSES[loss][0]
    model = keras_locoprop.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(HIDDEN, "tanh", bias_initializer="glorot_normal"),
            layers.Dense(OUTPUTS, activation),
        ]
    )
    model.compile(LocoProp("auto", **arguments), loss)
    return model


def batch(seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(EXAMPLES, FEATURES))
    y = np.abs(generator.normal(size=(EXAMPLES, OUTPUTS)))
    return x, y / y.sum(axis=1, keepdims=True)


def linearization(model, loss, x, y):
    """Gradient, `(examples, outputs, weights)` Jacobian, logits."""
    kernels = model.get_weights()[::2]
    biases = model.get_weights()[1::2]
    hidden = np.tanh(x @ kernels[0] + biases[0])
    logits = hidden @ kernels[1] + biases[1]
    of_hidden = np.einsum("nh,ho->noh", 1 - hidden**2, kernels[1])
    of_outputs = np.tile(np.eye(OUTPUTS), (EXAMPLES, 1, 1))
    jacobian = np.concatenate(
        [
            np.einsum("noj,ni->noij", of_units, with_ones(inputs)).reshape(
                EXAMPLES, OUTPUTS, -1
            )
            for of_units, inputs in ((of_hidden, x), (of_outputs, hidden))
        ],
        axis=-1,
    )
    slopes = np.stack([LOSSES[loss][2](z, t) for z, t in zip(logits, y)])
    gradient = np.einsum("no,now->w", slopes, jacobian) / EXAMPLES
    return gradient, jacobian, logits


def with_ones(x):
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def kfac_direction(model, gradient, damping):
    """The damped Kronecker product of each layer, as one dense matrix."""
    factors = list(model.optimizer.state.solver._factors.values())
    moments = [
        [keras.ops.convert_to_numpy(moment) for moment in each.moments()]
        for each in factors
    ]
    size = np.mean([np.diag(c).mean() * np.diag(s).mean() for c, s in moments])
    parts, start = [], 0
    for c, s in moments:
        split = np.sqrt(np.diag(c).mean() / np.diag(s).mean())
        root = np.sqrt(damping * size)
        dense = np.kron(
            c + split * root * np.eye(len(c)),
            s + root / split * np.eye(len(s)),
        )
        stop = start + len(dense)
        parts.append(np.linalg.solve(dense, gradient[start:stop]))
        start = stop
    return np.concatenate(parts), size


def flat(weights):
    return np.concatenate([np.ravel(weight) for weight in weights])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("loss", LOSSES)
def test_two_steps_are_those_of_dense_kfac(loss):
    model = make(loss)
    last = None
    for step in range(2):
        x, y = batch(step)
        start = flat(model.get_weights())
        gradient, jacobian, logits = linearization(model, loss, x, y)
        automatic = model.optimizer.state.automatic_step
        damping = float(automatic.damping)
        model.train_on_batch(x, y)
        direction, size = kfac_direction(model, gradient, damping)
        hessians = [LOSSES[loss][1](z) for z in logits]
        curvature = np.mean(
            [j.T @ h @ j for j, h in zip(jacobian, hessians)], axis=0
        ) + damping * size * np.eye(len(start))
        directions = np.stack([direction] + ([] if last is None else [last]))
        slopes = directions @ gradient
        curvatures = directions @ curvature @ directions.T
        coefficients = np.linalg.solve(curvatures, slopes)
        if last is not None:
            coefficients[1] *= EXAMPLES / (
                EXAMPLES + EXAMPLES_FOR_HALF_THE_MOMENTUM
            )
            coefficients[0] = (
                slopes[0] - curvatures[0, 1] * coefficients[1]
            ) / curvatures[0, 0]
        last = coefficients @ directions
        moved = start - flat(model.get_weights())
        # A ridge of 1e-5 keeps nearly parallel directions apart.
        np.testing.assert_allclose(moved, last, rtol=1e-3, atol=1e-6)
        last = moved


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("loss", LOSSES)
def test_moments_are_those_of_inputs_and_of_the_curvature(loss):
    model = make(loss)
    x, y = batch(0)
    x, y = np.tile(x, (400, 1)), np.tile(y, (400, 1))
    hidden = keras.ops.convert_to_numpy(model.layers[0](x))
    kernel, bias = model.layers[1].get_weights()
    z = hidden @ kernel + bias
    model.train_on_batch(x, y)
    solver = model.optimizer.state.solver
    [first, second] = solver._factors.values()
    for factors, inputs in ((first, x), (second, hidden)):
        inputs = with_ones(inputs)
        of_inputs, _ = map(keras.ops.convert_to_numpy, factors.moments())
        np.testing.assert_allclose(
            of_inputs,
            inputs.T @ inputs / len(inputs),
            rtol=1e-9,
        )
    hessian = LOSSES[loss][1]
    at_outputs = [hessian(row) for row in z[:EXAMPLES]]
    slopes = 1 - hidden[:EXAMPLES] ** 2
    back = [kernel * s[:, None] for s in slopes]
    at_hidden = [b @ h @ b.T for b, h in zip(back, at_outputs)]
    # Drawn, 4800 times.
    for factors, expected in ((first, at_hidden), (second, at_outputs)):
        expected = np.mean(expected, axis=0)
        _, of_outputs = map(keras.ops.convert_to_numpy, factors.moments())
        np.testing.assert_allclose(
            of_outputs,
            expected,
            atol=0.08 * np.abs(expected).max(),
        )


@pytest.mark.usefixtures("float64")
def test_a_quadratic_loss_falls_as_foretold():
    """A ratio of one lowers the damping, by the same factor each time."""
    model = keras_locoprop.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(OUTPUTS)]
    )
    model.compile(LocoProp("auto", damping=1e-14), "mse")
    x, y = batch(0)
    for _ in range(11):
        model.train_on_batch(x, y)
    damping = float(model.optimizer.state.automatic_step.damping)
    assert damping == pytest.approx(INITIAL_DAMPING * ADAPTATION_FACTOR**3)
    least_squares = np.linalg.lstsq(with_ones(x), y, rcond=None)
    for _ in range(150):
        model.train_on_batch(x, y)
    best = least_squares[1].sum() / y.size
    assert model.evaluate(x, y, verbose=0) == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize(
    "raised, then",
    [
        (INITIAL_DAMPING * FACTOR_AFTER_HARM**2, FACTOR_AFTER_HARM),
        (INITIAL_DAMPING * FACTOR_AFTER_HARM, INITIAL_DAMPING),
        (INITIAL_DAMPING * 2.0, INITIAL_DAMPING),
        (INITIAL_DAMPING * 1.1, INITIAL_DAMPING * 1.1 * ADAPTATION_FACTOR),
        (INITIAL_DAMPING, INITIAL_DAMPING * ADAPTATION_FACTOR),
    ],
)
@pytest.mark.usefixtures("float64")
def test_damping_that_refused_steps_raised_comes_down_as_fast(raised, then):
    model = keras_locoprop.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(OUTPUTS)]
    )
    model.compile(LocoProp("auto"), "mse")
    model.train_on_batch(*batch(0))
    model.optimizer.state.automatic_step.damping.assign(raised)
    for _ in range(ADAPTATION_PERIOD):
        model.train_on_batch(*batch(0))
    damping = float(model.optimizer.state.automatic_step.damping)
    assert damping == pytest.approx(then)


def test_the_scale_of_the_loss_does_not_matter():
    x, y = batch(0)
    weights = []
    for scale in (1.0, 1000.0):
        keras.utils.set_random_seed(0)
        model = make("mse")
        model.compile(LocoProp("auto"), "mse", loss_weights=scale)
        model.fit(x, y, epochs=10, verbose=0)
        weights.append(flat(model.get_weights()))
    np.testing.assert_allclose(*weights, rtol=2e-2, atol=2e-3)


def test_a_step_that_raises_the_loss_is_not_taken():
    """Softmax is flat where it is wrong and sure: the model sees no end."""
    keras.utils.set_random_seed(0)
    model = keras_locoprop.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(HIDDEN, "tanh"),
            layers.Dense(OUTPUTS),
        ]
    )
    # From probabilities JAX and PyTorch cut the loss off where it gets large.
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(LocoProp("auto"), loss)
    generator = np.random.default_rng(0)
    model.set_weights(
        [20 * generator.normal(size=w.shape) for w in model.get_weights()]
    )
    x, y = batch(1)
    automatic_step = model.optimizer.state.automatic_step
    damping, last = INITIAL_DAMPING, 0.0
    losses, refused = [], 0
    for _ in range(30):
        before = flat(model.get_weights())
        model.reset_metrics()
        losses.append(model.train_on_batch(x, y))
        damping_before, damping = damping, float(automatic_step.damping)
        last_before, last = last, flat(automatic_step.variables[1:])
        if damping == damping_before * FACTOR_AFTER_HARM:
            refused += 1
            np.testing.assert_array_equal(flat(model.get_weights()), before)
            np.testing.assert_array_equal(last, last_before)
        else:
            assert np.any(flat(model.get_weights()) != before)
            assert np.any(last != last_before)
    assert refused
    assert model.optimizer.skipped_steps == 0
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


def test_a_loss_that_a_layer_adds_is_in_both_losses_of_a_step():
    """Else a step that lowers it a little looks like one that does harm."""
    keras.utils.set_random_seed(0)
    model = keras_locoprop.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(
                HIDDEN,
                "tanh",
                activity_regularizer=keras.regularizers.L2(0.008),
            ),
            layers.Dense(OUTPUTS),
        ]
    )
    model.compile(LocoProp("auto"), "mse")
    x, y = batch(0)
    automatic_step = model.optimizer.state.automatic_step
    for _ in range(6):
        before = flat(model.get_weights())
        model.train_on_batch(x, y)
        assert np.any(flat(model.get_weights()) != before)
        assert float(automatic_step.damping) <= INITIAL_DAMPING


def test_a_layer_whose_activation_was_taken_away():
    model = make("mse")
    model.layers[-1].activation = None
    x, y = batch(0)
    losses = [model.train_on_batch(x, y) for _ in range(5)]
    assert losses[-1] < losses[0]
