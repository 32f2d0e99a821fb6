import numpy as np
import pytest
import tensorflow as tf

from keras_locoprop.solvers.example_slices import MINIMUM_EXAMPLES
from keras_locoprop.solvers.example_slices import example_slice


def slices_of(examples, inner_batch_size, inner_steps):
    return [
        tuple(
            int(number)
            for number in example_slice(step, inner_batch_size, inner_steps)(
                examples
            )
        )
        for step in range(inner_steps)
    ]


@pytest.mark.parametrize("examples", [1, 7, 32, 33, 96, 128, 1000])
@pytest.mark.parametrize("inner_batch_size", [1, 10, 200, "all", None])
@pytest.mark.parametrize("inner_steps", [1, 5, 12])
def test_slices_follow_each_other_through_the_batch(
    examples, inner_batch_size, inner_steps
):
    end = 0
    for start, size in slices_of(examples, inner_batch_size, inner_steps):
        assert size >= 1
        assert start == (end if end < examples else 0)
        end = start + size
        assert end <= examples


def test_all():
    assert slices_of(10, "all", 3) == [(0, 10)] * 3


def test_a_slice_larger_than_the_batch_is_the_batch():
    assert slices_of(10, 64, 3) == [(0, 10)] * 3


def test_nearly_equal_sizes():
    assert slices_of(10, 4, 4) == [(0, 3), (3, 3), (6, 4), (0, 3)]


@pytest.mark.parametrize(
    "examples", [MINIMUM_EXAMPLES, 2 * MINIMUM_EXAMPLES, 1000]
)
def test_default_passes_over_the_batch_twice(examples):
    sizes = [size for _, size in slices_of(examples, None, 4)]
    assert min(sizes) >= min(examples, MINIMUM_EXAMPLES)
    assert sum(sizes) == (2 if examples > MINIMUM_EXAMPLES else 4) * examples


@pytest.mark.parametrize("inner_batch_size", [10, "all", None])
def test_unknown_batch_size_gives_the_same_slices(inner_batch_size):
    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def slices(batch):
        examples = tf.shape(batch)[0]
        return [
            example_slice(k, inner_batch_size, 6)(examples) for k in range(6)
        ]

    for examples in (5, 97, 128):
        np.testing.assert_array_equal(
            slices(tf.zeros((examples, 2))),
            slices_of(examples, inner_batch_size, 6),
        )
