"""Wherever the batches come from, the same batches give the same weights."""

import keras
import numpy as np
import pytest

from tests.contract.models import BATCH_SIZE
from tests.contract.models import BATCHES
from tests.contract.models import CLASSES
from tests.contract.models import EXAMPLES
from tests.contract.models import assert_other_weights
from tests.contract.models import assert_same_weights
from tests.contract.models import make_data
from tests.contract.models import make_model

pytestmark = pytest.mark.backends

EPOCHS = 2


class PyDataset(keras.utils.PyDataset):
    def __init__(self, data):
        super().__init__()
        self.data = data

    def __len__(self):
        return BATCHES

    def __getitem__(self, index):
        start = index * BATCH_SIZE
        return tuple(a[start : start + BATCH_SIZE] for a in self.data)


def batches_of(data):
    """The last one is shorter."""
    dataset = PyDataset(data)
    return [dataset[index] for index in range(len(dataset))]


def by_arrays(model, data):
    x, y, *weights = data
    sample_weight = weights[0] if weights else None
    model.fit(
        x,
        y,
        sample_weight=sample_weight,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
    )


def by_train_on_batch(model, data):
    for batch in batches_of(data) * EPOCHS:
        model.train_on_batch(*batch)


def by_generator(model, data):
    def endless():
        while True:
            yield from batches_of(data)

    model.fit(
        endless(),
        steps_per_epoch=BATCHES,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
    )


def by_tensorflow_dataset(model, data):
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(BATCH_SIZE)
    model.fit(dataset, epochs=EPOCHS, shuffle=False, verbose=0)


def by_py_dataset(model, data):
    model.fit(PyDataset(data), epochs=EPOCHS, shuffle=False, verbose=0)


def by_one_fit_a_batch(model, data):
    for x, y, *weights in batches_of(data) * EPOCHS:
        weight = weights[0] if weights else None
        model.fit(x, y, sample_weight=weight, batch_size=len(x), verbose=0)


def make_examples(weighted):
    data = make_data()
    weights = np.random.default_rng(1).uniform(0.0, 3.0, size=EXAMPLES)
    return (*data, weights.astype("float32")) if weighted else data


def trained(way, data):
    model = make_model(run_eagerly=False)
    way(model, data)
    assert int(model.optimizer.iterations) == EPOCHS * BATCHES
    return model


@pytest.fixture(scope="module")
def by_array():
    return {
        weighted: trained(by_arrays, make_examples(weighted)).get_weights()
        for weighted in (False, True)
    }


@pytest.mark.parametrize(
    ("way", "weighted"),
    [
        (by_train_on_batch, False),
        (by_train_on_batch, True),
        (by_generator, False),
        (by_generator, True),
        (by_tensorflow_dataset, True),
        (by_py_dataset, True),
        (by_one_fit_a_batch, True),
    ],
)
def test_same_batches_same_weights(way, weighted, by_array):
    model = trained(way, make_examples(weighted))
    # Batches of a known size are traced to other graphs than those of any.
    assert_same_weights(model, by_array[weighted], rtol=1e-5, atol=1e-6)
    assert_other_weights(model, by_array[not weighted])


def test_the_last_partial_batch_counts(by_array):
    x, y = make_data()
    y[-1] = (y[-1] + 1) % CLASSES
    assert_other_weights(trained(by_arrays, (x, y)), by_array[False])
