"""Calls that go through functions of one's own, in one thread and several."""

import threading

import keras
import numpy as np
import pytest

from keras_locoprop.call_hooks import hooked

pytestmark = pytest.mark.backends


@pytest.fixture
def layer():
    return keras.layers.Activation("linear")


def adding(number):
    return lambda call, inputs: call(inputs) + number


def called(layer):
    return float(keras.ops.convert_to_numpy(layer(np.zeros(()))))


def test_the_innermost_counts_and_nothing_is_left(layer):
    other = keras.layers.Activation("linear")
    with hooked([(layer, adding(1)), (other, adding(2))]):
        with hooked([(layer, adding(4))]):
            assert (called(layer), called(other)) == (4, 2)
        assert (called(layer), called(other)) == (1, 2)
    assert (called(layer), called(other)) == (0, 0)
    assert "call" not in vars(layer) and "call" not in vars(other)


def test_a_call_of_the_instance_comes_back(layer):
    layer.call = lambda inputs: inputs + 8.0
    with hooked([(layer, adding(1))]):
        assert called(layer) == 9
    assert called(layer) == 8


def test_threads_that_overlap(layer):
    """The one that came first leaves first."""
    seen = []
    both_are_in, first_is_out = threading.Barrier(2), threading.Event()

    def second():
        with hooked([(layer, adding(2))]):
            both_are_in.wait(timeout=60)
            first_is_out.wait(timeout=60)
            seen.append(called(layer))

    thread = threading.Thread(target=second)
    with hooked([(layer, adding(1))]):
        thread.start()
        both_are_in.wait(timeout=60)
        seen.append(called(layer))
    first_is_out.set()
    thread.join()
    assert seen == [1, 2] and called(layer) == 0
    assert "call" not in vars(layer)
