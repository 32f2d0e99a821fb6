"""Names each private attribute of Keras that the package leans on."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_locoprop import keras_private

pytestmark = pytest.mark.backends


def make_model():
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="deep")])
    inputs = keras.Input((3,))
    outputs = layers.Dense(2, name="shallow")(inner(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    return model


def test_functional():
    assert type(make_model()) is keras_private.Functional


def test_functional_init_arguments():
    is_functional = keras_private.functional_init_arguments
    assert is_functional(("inputs", "outputs"), {})
    assert is_functional((), {"inputs": 1, "outputs": 2})
    assert not is_functional((), {"name": "subclassed"})


def test_flatten_layers():
    model = make_model()
    direct = keras_private.direct_sublayers(model)
    assert direct == model.layers
    names = {layer.name for layer in keras_private.all_sublayers(model)}
    assert {"deep", "shallow"} <= names
    assert "deep" not in {layer.name for layer in direct}


def test_call_has_training_arg():
    class Plain(keras.Model):
        def call(self, inputs):
            return inputs

    class Aware(keras.Model):
        def call(self, inputs, training=None):
            return inputs + (1.0 if training else 0.0)

    ones = np.ones((2, 3), "float32")
    plain = keras_private.call_model(Plain(), ones, training=True)
    np.testing.assert_array_equal(plain, ones)
    aware = keras_private.call_model(Aware(), ones, training=True)
    np.testing.assert_array_equal(aware, 2 * ones)


def test_compute_loss():
    class Without(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return 7.0

    for model, expected in ((make_model(), 1.0), (Without(), 7.0)):
        loss = keras_private.compute_loss(
            model,
            x=None,
            y=np.zeros((2, 2)),
            y_pred=np.ones((2, 2)),
            sample_weight=None,
            training=True,
        )
        np.testing.assert_allclose(loss, expected)


def test_averages_of_weights():
    weights = [keras.Variable([1.0]), keras.Variable([2.0])]
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    optimizer.build(weights)
    for _ in range(2):
        optimizer.apply([keras.ops.ones((1,))] * 2)
    averages = keras_private.averages_of_weights(optimizer)
    for weight, expected in zip(weights, (0.25, 1.25), strict=True):
        np.testing.assert_allclose(averages[id(weight)], [expected])


def test_copy_weight_decay_exclusions():
    def decayed(optimizer):
        weights = [keras.Variable([1.0], name=n) for n in ("gamma", "kernel")]
        optimizer.build(weights)
        optimizer.apply([keras.ops.zeros((1,))] * 2)
        return [float(weight[0]) < 1 for weight in weights]

    source, target = (keras.optimizers.AdamW(weight_decay=0.5) for _ in "12")
    keras_private.copy_weight_decay_exclusions(source, target)
    assert decayed(target) == [True, True]
    target = keras.optimizers.AdamW(weight_decay=0.5)
    source.exclude_from_weight_decay(var_names=["gamma"])
    keras_private.copy_weight_decay_exclusions(source, target)
    assert decayed(target) == [False, True]


def test_loss_tracker():
    model = make_model()
    keras_private.loss_tracker(model).update_state(3.0)
    assert model.get_metrics_result()["loss"] == 3.0


def test_loss_arguments():
    loss = keras.losses.SparseCategoricalCrossentropy(axis=1)
    assert keras_private.loss_arguments(loss)["axis"] == 1


def test_nodes():
    model = make_model()
    calls = keras_private.nodes(model)
    names = [call.operation.name for call in calls]
    inner, shallow = model.layers[-2:]
    assert names[1:] == [inner.name, shallow.name]
    assert calls[2].input_tensors[0] is calls[1].output_tensors[0]
    assert calls[2].output_tensors[0] is model.outputs[0]
    names = [call.operation.name for call in keras_private.nodes(inner)]
    assert names[1:] == ["deep"]
    for opaque in (shallow, keras.Sequential([layers.Dense(2)])):
        assert keras_private.nodes(opaque) == []


def test_graph_outputs():
    class OwnOutputs(keras.Model):
        outputs = 3

    model = make_model()
    [output] = keras_private.graph_outputs(model)
    assert output is model.outputs[0]
    inner = model.layers[-2]
    assert len(keras_private.graph_outputs(inner)) == 1
    assert keras_private.graph_outputs(OwnOutputs()) == []
    assert keras_private.graph_outputs(keras.Sequential()) == []


def test_rmsprop_slots():
    variable = keras.Variable([1.0, 2.0])
    optimizer = keras.optimizers.RMSprop(0.5, rho=0.0, momentum=0.5)
    optimizer.apply([keras.ops.convert_to_tensor([3.0, -4.0])], [variable])
    mean_square, momentum = (
        keras.ops.convert_to_numpy(slot)
        for slot in keras_private.rmsprop_slots(optimizer, variable)
    )
    np.testing.assert_allclose(mean_square, [9.0, 16.0])
    np.testing.assert_allclose(momentum, [0.5, -0.5], rtol=1e-5)


def test_mask_of():
    inputs = np.array([[1, 0]])
    embedded = keras.layers.Embedding(3, 2, mask_zero=True)(inputs)
    mask = keras_private.mask_of(embedded)
    np.testing.assert_array_equal(mask, [[True, False]])
    assert keras_private.mask_of(keras.ops.ones(2)) is None


def test_set_mask():
    tensor, mask = keras.ops.ones((1, 2, 3)), keras.ops.ones((1, 2), "bool")
    keras_private.set_mask(tensor, mask)
    assert keras_private.mask_of(tensor) is mask


def test_track_variable():
    optimizer = keras.optimizers.SGD()
    variable = keras.Variable([1.0])
    keras_private.track_variable(optimizer, variable)
    assert optimizer.variables[-1] is variable


def test_variable_index():
    variables = [keras.Variable([1.0]), keras.Variable([2.0])]
    optimizer = keras.optimizers.SGD()
    optimizer.build(variables)
    for index, variable in enumerate(variables):
        assert keras_private.variable_index(optimizer, variable) == index


def test_optimized_variables():
    variables = [keras.Variable([1.0]), keras.Variable([2.0])]
    optimizer = keras.optimizers.SGD()
    optimizer.build(variables)
    optimized = keras_private.optimized_variables(optimizer)
    assert all(a is b for a, b in zip(optimized, variables, strict=True))


def test_plain_optimizer_class():
    optimizer = keras.optimizers.Adam()
    plain = keras_private.plain_optimizer_class(optimizer)
    assert plain is keras.optimizers.Adam


def test_stateless_scope():
    variable = keras.Variable([1.0])
    assert not keras_private.in_stateless_scope()
    with keras.StatelessScope():
        assert keras_private.in_stateless_scope()
        variable.assign([2.0])
        stored = keras_private.stored_value(variable)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(stored), [1.0])


def test_each_of_them_has_a_test():
    source = Path(__file__).read_text(encoding="utf-8")
    names = {n for n in keras_private.__all__ if f"keras_private.{n}" in source}
    assert names == set(keras_private.__all__)


def test_they_are_in_one_place():
    package = Path(keras_private.__file__).parent
    reaching = [
        path
        for path in package.rglob("*.py")
        if "keras.src" in path.read_text(encoding="utf-8")
    ]
    assert reaching == [Path(keras_private.__file__)]
