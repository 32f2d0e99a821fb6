import numpy as np
import pytest

from benchmarks.comparison import networks
from benchmarks.comparison import tasks
from benchmarks.comparison import words
from keras_locoprop import coverage


def test_variants_of_the_autoencoder():
    def units(**changes):
        return [layer[1] for layer in tasks.autoencoder(**changes)]

    plain = [1000, 500, 250, 30, 250, 500, 1000, 784]
    assert units() == plain
    assert units(repeated=2) == [*plain[:2], 500, *plain[2:6], 500, *plain[6:]]
    assert units(widened=2) == [2 * count for count in plain[:-1]] + [784]
    activations = [layer[2] for layer in tasks.autoencoder(hidden="relu")]
    assert activations == [*["relu"] * 3, "linear", *["relu"] * 3, "sigmoid"]


@pytest.mark.parametrize("name", tasks.TASKS)
def test_networks_fit_their_problem(name):
    task = tasks.TASKS[name]
    model = networks.build(task, seed=1)
    assert model.input_shape[1:] == task.input_shape
    assert task.tuned_on is None or tasks.TASKS[task.tuned_on].tuned_on is None
    again = networks.build(task, seed=1)
    for one, other in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)
    model.compile(loss="sparse_categorical_crossentropy")
    rows = coverage(model)
    local = sum(row.weights for row in rows if row.trained_by != "fallback")
    assert local > 0.85 * sum(row.weights for row in rows)


def test_images(data_dir):
    for name, shape in (("fashion", (784,)), ("convolutional", (28, 28, 1))):
        data = tasks.load(tasks.TASKS[name], data_dir, examples=40)
        assert data["x_train"].shape == (40, *shape)
        assert data["x_test"].shape == (32, *shape)
        assert data["x_train"].dtype == np.float32
    assert data["y_train"].shape == (40,)
    autoencoder = tasks.load(tasks.TASKS["mnist"], data_dir, examples=96)
    assert autoencoder["y_train"] is autoencoder["x_train"]


def test_shipped_digits():
    data = tasks.load(tasks.TASKS["classifier"], "shipped")
    assert len(data["x_train"]) == 8000 and len(data["x_test"]) == 2000


def test_words_are_many_and_each_of_one_language():
    data = words.load_words()
    assert data.x_train.shape == (60_000, words.LENGTH)
    assert data.x_test.shape == (12_000, words.LENGTH)
    counts = np.bincount(np.concatenate([data.y_train, data.y_test]))
    assert counts.tolist() == [words.WORDS_PER_LANGUAGE] * 12
    every = np.concatenate([data.x_train, data.x_test])
    assert len(np.unique(every, axis=0)) == len(every)
    assert every.min() == 0 and every.max() < words.SYMBOLS
    is_end = every == 0
    assert np.all(is_end[:, 1:] >= is_end[:, :-1])
