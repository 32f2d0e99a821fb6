"""Forward passes that leave no trace."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop.network import Network
from keras_locoprop.plan import make_plan

pytestmark = pytest.mark.backends


def make():
    inputs = keras.Input((4,))
    hidden = layers.BatchNormalization()(layers.Dense(5)(inputs))
    hidden = layers.Dropout(0.5, seed=1)(layers.ReLU()(hidden))
    outputs = [layers.Dense(2, name="a")(hidden), layers.Dense(1)(hidden)]
    model = keras_locoprop.Model(inputs, outputs)
    model.compile(LocoProp("auto"), ["mse", "mae"], metrics=["mae", "mae"])
    x = np.random.normal(size=(8, 4)).astype("float32")
    y = [np.ones((8, 2), "float32"), np.ones((8, 1), "float32")]
    model.train_on_batch(x, y)
    network = Network(model, make_plan(model).local_layers, x, y, None)
    return model, network


def test_the_model_is_as_it_was():
    model, network = make()
    state = [
        *model.non_trainable_variables,
        *(v for metric in model.metrics for v in metric.variables),
    ]
    assert len(state) > 8
    before = [np.asarray(variable) for variable in state]
    first, second = float(network.loss()), float(network.loss())
    assert first == second
    for variable, value in zip(state, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def test_the_masks_are_those_of_the_step():
    """The forward pass that the gradients are of comes in between."""
    model, network = make()
    inputs, targets, _ = network._batch
    outputs = model(inputs, training=True)
    value = float(model.compute_loss(y=targets, y_pred=outputs))
    assert value == pytest.approx(float(network.loss()), rel=1e-6)
    other = model.compute_loss(y=targets, y_pred=model(inputs, training=True))
    assert value != pytest.approx(float(other), rel=1e-3)


def test_the_loss_is_that_of_the_model():
    model, network = make()
    points, records, loss = network.forward()
    outputs = [keras.ops.convert_to_numpy(point.value) for point in points]
    expected = np.mean((outputs[0] - 1) ** 2) + np.mean(abs(outputs[1] - 1))
    value = float(loss(points, [point.value for point in points]))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert len(records) == 3


def test_rows_for_curvature():
    model, network = make()
    # 3 outputs: all rows are needed.
    assert int(network.rows_for_curvature()) == 8
    assert int(network.rows_for_curvature(scalars=12)) == 4
    assert int(network.rows_for_curvature(scalars=1)) == 1
    model.compile(
        LocoProp("auto"), [keras.losses.Huber(reduction="sum"), "mse"]
    )
    assert int(network.rows_for_curvature(scalars=1)) == 8
    points, _, _ = network.forward()
    assert [point.is_sum for point in points] == [True, False]


def test_the_loss_leaves_out_what_is_masked():
    model = keras_locoprop.Sequential(
        [
            keras.Input((6,)),
            layers.Embedding(3, 4, mask_zero=True),
            layers.Dense(2, "softmax"),
        ]
    )
    model.compile(LocoProp("auto"), "sparse_categorical_crossentropy")
    x = np.repeat([[1, 2, 0, 0, 0, 0]], 8, axis=0)
    y = np.tile([0, 1, 1, 1, 0, 0], (8, 1))[..., None]
    expected = model.evaluate(x, y, verbose=0)
    network = Network(model, make_plan(model).local_layers, x, y, None)
    assert float(network.loss()) == pytest.approx(expected, rel=1e-5)
    everything = np.where(x == 0, 1, x)
    assert model.evaluate(everything, y, verbose=0) != pytest.approx(
        expected, rel=1e-3
    )


def test_metrics_of_losses_come_before_those_of_the_model():
    """They are made by the first loss, which the state must outlast."""

    class Counting(keras_locoprop.Model):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.area = keras.metrics.AUC(num_thresholds=7)

    inputs = keras.Input((4,))
    outputs = [layers.Dense(2)(inputs), layers.Dense(2)(inputs)]
    model = Counting(inputs, outputs)
    model.compile(LocoProp("auto"), ["mse", "mse"])
    x = np.random.normal(size=(8, 4)).astype("float32")
    losses = model.fit(x, [x[:, :2]] * 2, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_solver_without_curvature_needs_no_network(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("not needed")

    monkeypatch.setattr(keras_locoprop.train_step, "Network", refuse)
    model = keras_locoprop.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(LocoProp(), "mse", run_eagerly=True)
    model.train_on_batch(np.ones((4, 4)), np.ones((4, 2)))
    model.compile(LocoProp("auto"), "mse", run_eagerly=True)
    with pytest.raises(AssertionError, match="not needed"):
        model.train_on_batch(np.ones((4, 4)), np.ones((4, 2)))
