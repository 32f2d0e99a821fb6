import threading

import keras
import numpy as np
import pytest
from keras import ops

from keras_locoprop.tap import recording

pytestmark = pytest.mark.backends


@pytest.fixture
def layer():
    layer = keras.layers.Dense(3, activation="tanh")
    layer.build((None, 4))
    return layer


@pytest.fixture
def inputs():
    return np.random.normal(size=(5, 4)).astype("float32")


def test_records_inputs_and_preactivation(layer, inputs):
    expected = ops.convert_to_numpy(layer(inputs))
    with recording([layer]) as records:
        outputs = ops.convert_to_numpy(layer(inputs))
    [record] = records
    assert record.layer is layer
    np.testing.assert_allclose(record.inputs, inputs)
    preactivation = ops.convert_to_numpy(record.preactivation)
    np.testing.assert_allclose(np.tanh(preactivation), expected, 1e-5)
    np.testing.assert_allclose(outputs, expected, 1e-6)


def test_records_every_call_in_order(layer, inputs):
    with recording([layer]) as records:
        layer(inputs)
        layer(2 * inputs)
    np.testing.assert_allclose(
        records[1].inputs, 2 * np.asarray(records[0].inputs)
    )


def test_leaves_no_trace(layer, inputs):
    before = set(vars(layer))
    with recording([layer]):
        layer(inputs)
    assert set(vars(layer)) == before
    assert layer.activation is keras.activations.tanh


def test_leaves_no_trace_after_an_error(layer):
    with pytest.raises(ValueError), recording([layer]):
        layer(np.zeros((5, 7), "float32"))
    assert "call" not in vars(layer)
    assert layer.activation is keras.activations.tanh


def test_activation_returns_when_the_call_itself_fails(
    layer, inputs, monkeypatch
):
    def broken(self, inputs):
        raise RuntimeError("broken")

    monkeypatch.setattr(keras.layers.Dense, "call", broken)
    with pytest.raises(RuntimeError), recording([layer]):
        layer(inputs)
    assert layer.activation is keras.activations.tanh


def test_nested_recordings_are_separate(layer, inputs):
    with recording([layer]) as outer:
        with recording([layer]) as inner:
            layer(inputs)
        layer(inputs)
    assert len(inner) == 1
    assert len(outer) == 1


def test_another_thread_does_not_record(layer, inputs):
    with recording([layer]) as records:
        thread = threading.Thread(target=lambda: layer(inputs))
        thread.start()
        thread.join()
    assert records == []


def test_an_activation_layer_is_taken_out_too(inputs):
    layer = keras.layers.Dense(3, activation=keras.layers.LeakyReLU(0.5))
    expected = ops.convert_to_numpy(layer(inputs))
    with recording([layer]) as records:
        layer(inputs)
    preactivation = ops.convert_to_numpy(records[0].preactivation)
    assert preactivation.min() < expected.min()
    np.testing.assert_allclose(
        np.where(preactivation > 0, preactivation, preactivation / 2),
        expected,
        rtol=1e-5,
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="its sparse tensors"
)
def test_sparse_inputs_are_refused(layer, inputs):
    import tensorflow as tf

    with (
        pytest.raises(ValueError, match="`exclude` must name .*'dense"),
        recording([layer]),
    ):
        layer(tf.sparse.from_dense(inputs))
