import keras
import numpy as np
import pytest

import keras_locoprop
from benchmarks import problems

each_problem = pytest.mark.parametrize(
    "problem", problems.PROBLEMS.values(), ids=problems.PROBLEMS
)


@pytest.mark.parametrize(
    "problem", problems.PROBLEMS.values(), ids=lambda p: p.name
)
def test_kernel_sizes_are_those_of_the_model(problem):
    model = problems.make_model(problem)
    sizes = [int(np.prod(layer.kernel.shape)) for layer in model.layers]
    assert problem.kernel_sizes == sizes


def test_a_seed_determines_the_weights():
    def weights(sequential, seed):
        model = problems.make_model(problems.REGRESSION, sequential, seed)
        return model.get_weights()

    expected = weights(keras.Sequential, 1)
    for actual, other, weight in zip(
        weights(keras_locoprop.Sequential, 1),
        weights(keras.Sequential, 2),
        expected,
    ):
        np.testing.assert_array_equal(actual, weight)
        assert weight.ndim == 1 or not np.array_equal(other, weight)


def test_autoencoder_learns_its_inputs(data_dir):
    data = problems.load_data(problems.AUTOENCODER, data_dir, examples=64)
    assert data.x_train.shape == (64, 784)
    assert data.x_test.shape == (32, 784)
    np.testing.assert_array_equal(data.x_train, data.y_train)


def test_classifier_learns_labels(data_dir):
    data = problems.load_data(problems.CLASSIFIER, data_dir, examples=20)
    np.testing.assert_array_equal(data.y_train, np.arange(20) % 10)


def test_regression_follows_its_equation():
    data = problems.load_data(problems.REGRESSION)
    assert data.x_train.shape == (10_000, 8)
    assert data.y_test.shape == (2_000, 1)
    x = data.x_test.T
    noise = data.y_test[:, 0] - (
        np.sin(2 * x[0]) + x[1] * x[2] + np.abs(x[3]) / 2
    )
    np.testing.assert_allclose([noise.mean(), noise.std()], [0, 0.1], atol=0.01)


@pytest.mark.parametrize(
    "problem", problems.PROBLEMS.values(), ids=lambda p: p.name
)
def test_random_batch_has_the_form_of_the_data(problem, data_dir):
    data = problems.load_data(problem, data_dir, examples=16)
    x, y = problems.random_batch(problem, 16)
    assert x.shape == data.x_train.shape
    assert y.shape == data.y_train.shape
    assert x.dtype == data.x_train.dtype
    assert y.dtype == data.y_train.dtype


def test_too_few_examples(data_dir):
    with pytest.raises(ValueError, match="at least 60000 training examples"):
        problems.load_data(problems.CLASSIFIER, data_dir)


def test_images_that_are_not_there():
    with pytest.raises(FileNotFoundError, match="`data_dir`"):
        problems.load_data(problems.CLASSIFIER)
