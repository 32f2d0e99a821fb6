"""The closed form against dense linear algebra in double precision."""

import keras
import numpy as np
import pytest

from keras_locoprop.solvers.kronecker_factors import KroneckerFactors

pytestmark = pytest.mark.backends

INPUTS, UNITS, ROWS, EXAMPLES = 5, 3, 40, 20


def make(output_scaling, has_bias, seed=0):
    generator = np.random.default_rng(seed)
    weights = [keras.Variable(generator.normal(size=(INPUTS, UNITS)))]
    if has_bias:
        weights.append(keras.Variable(np.zeros(UNITS)))
    factors = KroneckerFactors(weights, (INPUTS, UNITS), output_scaling)
    return factors, generator


def batch(generator):
    inputs = generator.normal(size=(ROWS, INPUTS)) + 0.5
    gradients = generator.normal(size=(ROWS, UNITS)) * [1.0, 3.0, 0.1]
    return inputs, gradients


def moments(inputs, gradients, has_bias, output_scaling):
    """Means over rows of the one, over examples of the other."""
    if has_bias:
        inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    counts = (EXAMPLES, ROWS) if output_scaling is None else (ROWS, EXAMPLES)
    return inputs.T @ inputs / counts[0], gradients.T @ gradients / counts[1]


def dense_solution(c, s, gradient, output_scaling, damping, size):
    """By one linear system for the whole kernel, without any factors."""
    width = len(c)
    mean_c, mean_s = np.trace(c) / width, np.trace(s) / UNITS
    if output_scaling is None:
        damped = c + np.sqrt(damping) * mean_c * np.eye(width)
        s = np.eye(UNITS)
    else:
        split, root = np.sqrt(mean_c / mean_s), np.sqrt(damping * size)
        damped = c + split * root * np.eye(width)
        s = s if output_scaling == "full" else np.diag(np.diag(s))
        s = s + root / split * np.eye(UNITS)
    return np.linalg.solve(np.kron(damped, s), gradient.ravel()).reshape(
        gradient.shape
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("output_scaling", [None, "unit", "full"])
def test_solution_is_that_of_the_dense_system(output_scaling, has_bias):
    factors, generator = make(output_scaling, has_bias)
    c = s = weight = 0.0
    for decay in (0.8, 0.6):
        inputs, gradients = batch(generator)
        factors.average(
            [(inputs, gradients, np.ones((ROWS, 1)), EXAMPLES)], decay
        )
        of_batch = moments(inputs, gradients, has_bias, output_scaling)
        c = decay * c + (1 - decay) * of_batch[0]
        s = decay * s + (1 - decay) * of_batch[1]
        weight = decay * weight + (1 - decay)
    factors.refresh(0.3, 2.0)
    gradient = generator.normal(size=(INPUTS + has_bias, UNITS))
    parts = [gradient[:INPUTS], *gradient[INPUTS:]]
    solved = [np.asarray(part) for part in factors.solve(parts)]
    expected = dense_solution(
        c / weight, s / weight, gradient, output_scaling, 0.3, 2.0
    )
    np.testing.assert_allclose(solved[0], expected[:INPUTS], rtol=1e-9)
    if has_bias:
        np.testing.assert_allclose(solved[1], expected[INPUTS], rtol=1e-9)


@pytest.mark.usefixtures("float64")
def test_rows_that_do_not_count_have_no_say():
    inputs, gradients = batch(np.random.default_rng(3))
    counts = np.arange(ROWS)[:, None] % 3 > 0
    inverses = []
    for nonsense in (0.0, 100.0):
        factors, _ = make("full", True)
        factors.average(
            [
                (
                    np.where(counts, inputs, nonsense),
                    np.where(counts, gradients, nonsense),
                    counts,
                    EXAMPLES,
                )
            ],
            0.5,
        )
        factors.refresh(0.1, 1.0)
        inverses.append(
            [np.asarray(factors.inputs_inverse), factors.outputs_inverse]
        )
    for one, other in zip(*inverses, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_calls_of_one_layer_count_together():
    generator = np.random.default_rng(1)
    inputs, gradients = batch(generator)
    ones = np.ones((ROWS, 1))
    whole, _ = make("full", True)
    whole.average([(inputs, gradients, ones, EXAMPLES)], 0.5)
    halves, _ = make("full", True)
    half = ROWS // 2
    halves.average(
        [
            (inputs[:half], gradients[:half], ones[:half], EXAMPLES),
            (inputs[half:], gradients[half:], ones[half:], EXAMPLES),
        ],
        0.5,
    )
    for one, other in zip(whole.variables, halves.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_calls_on_no_rows_change_nothing():
    inputs, gradients = batch(np.random.default_rng(1))
    ones = np.ones((ROWS, 1))
    call = inputs, gradients, ones, EXAMPLES
    idle = inputs[:0], gradients[:0], ones[:0], 0
    expected, _ = make("full", True)
    expected.average([call], 0.5)
    for calls in ([idle, call], [call, idle]):
        factors, _ = make("full", True)
        factors.average(calls, 0.5)
        for one, other in zip(
            factors.variables, expected.variables, strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-12)


SINGULAR = {
    "dead_inputs": lambda x, g: (x * [0.0, 1.0, 0.0, 1.0, 1.0], g),
    "duplicated_inputs": lambda x, g: (x[:, [0, 0, 1, 1, 1]], g),
    "one_row": lambda x, g: (x[:1], g[:1]),
    "no_inputs": lambda x, g: (0.0 * x, g),
    "no_gradients": lambda x, g: (x, 0.0 * g),
    "large_inputs": lambda x, g: (1e4 * x, g),
}


@pytest.mark.parametrize("case", SINGULAR)
@pytest.mark.parametrize("output_scaling", [None, "unit", "full"])
def test_singular_moments_are_damped(case, output_scaling):
    factors, generator = make(output_scaling, has_bias=True)
    inputs, gradients = SINGULAR[case](*batch(generator))
    inputs, gradients = inputs.astype("float32"), gradients.astype("float32")
    factors.average([(inputs, gradients, np.ones((len(inputs), 1)), 1)], 0.5)
    of_inputs, of_outputs = (float(size) for size in factors.sizes())
    factors.refresh(1e-8, max(of_inputs * of_outputs, 1e-30))
    gradient = [
        inputs.T @ gradients / len(inputs),
        gradients.mean(axis=0),
    ]
    for part in factors.solve(gradient):
        assert np.isfinite(np.asarray(part)).all()


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("output_scaling", [None, "unit", "full"])
def test_a_layer_that_saw_nothing_yet_stays_where_it_is(
    output_scaling, has_bias
):
    factors, generator = make(output_scaling, has_bias)
    inputs, gradients = batch(generator)
    gradient = [np.ones((INPUTS, UNITS)), np.ones(UNITS)][: 1 + has_bias]
    factors.average([(inputs, gradients, np.zeros((ROWS, 1)), EXAMPLES)], 0.5)
    factors.refresh(0.1, 1.0)
    for part in factors.solve(gradient):
        np.testing.assert_array_equal(part, 0.0)


@pytest.mark.parametrize("output_scaling", [None, "unit", "full"])
def test_a_layer_without_bias_whose_inputs_are_zero_stays(output_scaling):
    factors, generator = make(output_scaling, has_bias=False)
    inputs, gradients = batch(generator)
    ones = np.ones((ROWS, 1))
    factors.average([(0.0 * inputs, gradients, ones, EXAMPLES)], 0.5)
    factors.refresh(0.1, 1.0)
    [moved] = factors.solve([np.ones((INPUTS, UNITS))])
    np.testing.assert_array_equal(moved, 0.0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("output_scaling", [None, "unit", "full"])
def test_batches_without_rows_that_count_change_nothing(output_scaling):
    ones = np.ones((ROWS, 1))
    inverses = []
    for counts in ([ones], [0 * ones, ones, 0 * ones]):
        factors, generator = make(output_scaling, has_bias=True)
        call = batch(generator)
        for each in counts:
            factors.average([(*call, each, EXAMPLES)], 0.5)
        factors.refresh(0.1, 1.0)
        inverses.append([np.asarray(v) for v in factors.variables])
    for one, other in zip(*inverses, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
