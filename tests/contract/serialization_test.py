"""However a training is put away and taken up again, it goes on the same."""

import copy
import json
import pickle

import keras
import numpy as np
import pytest

import keras_locoprop
from keras_locoprop import LocoProp
from tests.contract.models import BATCHES
from tests.contract.models import assert_other_weights
from tests.contract.models import assert_same_weights
from tests.contract.models import fit
from tests.contract.models import make_model

pytestmark = pytest.mark.backends


def scaled(optimizer):
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)


MODELS = {
    "own": make_model,
    "prepared": lambda: make_model(base=keras.Sequential),
    "average": lambda: make_model(LocoProp(use_ema=True)),
    "loss_scale": lambda: make_model(scaled(LocoProp())),
}


def by_saving(model, make, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def by_pickle(model, make, folder):
    return pickle.loads(pickle.dumps(model))


def by_deepcopy(model, make, folder):
    return copy.deepcopy(model)


def by_weights_file(model, make, folder):
    model.save_weights(folder / "model.weights.h5")
    restored = make()
    restored.optimizer.build(restored.trainable_variables)
    restored.load_weights(folder / "model.weights.h5")
    return restored


def by_lists_of_weights(model, make, folder):
    restored = make()
    restored.make_train_function()
    restored.set_weights(model.get_weights())
    restored.optimizer.set_weights(
        [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]
    )
    return restored


def by_tensorflow_checkpoint(model, make, folder):
    import tensorflow as tf

    def checkpoint(model):
        return tf.train.Checkpoint(model=model, optimizer=model.optimizer)

    path = checkpoint(model).save(folder / "checkpoint")
    restored = make()
    restored.make_train_function()
    checkpoint(restored).restore(path).assert_consumed()
    return restored


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("own", by_saving),
        ("own", by_pickle),
        ("own", by_deepcopy),
        ("own", by_weights_file),
        ("own", by_lists_of_weights),
        pytest.param(
            "own",
            by_tensorflow_checkpoint,
            marks=pytest.mark.not_on(
                "jax", "torch", reason="TensorFlow keeps its own variables"
            ),
        ),
        ("prepared", by_deepcopy),
        ("prepared", by_weights_file),
        ("average", by_saving),
        ("loss_scale", by_saving),
        ("loss_scale", by_weights_file),
    ],
)
def test_training_goes_on(name, way, tmp_path):
    make = MODELS[name]
    model = make()
    fit(model)
    resumed, forgetful = way(model, make, tmp_path), make()
    forgetful.set_weights(model.get_weights())
    assert_same_weights(resumed, model)
    if type(resumed) is keras.Sequential:
        keras_locoprop.prepare(resumed)
    for one in (model, resumed, forgetful):
        fit(one)
    assert_same_weights(resumed, model)
    assert_other_weights(forgetful, model)
    assert float(resumed.optimizer.iterations) == 2 * BATCHES


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam, LocoProp])
def test_an_optimizer_that_is_not_built_takes_no_state(optimizer, tmp_path):
    """Weights trained elsewhere are a start, with a training of its own."""
    model, started = make_model(optimizer()), make_model(optimizer())
    fit(model)
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        started.load_weights(tmp_path / "model.weights.h5")
    assert_same_weights(started, model)
    fit(started)
    assert int(started.optimizer.iterations) == BATCHES


def test_weights_for_an_optimizer_that_has_not_met_its_model():
    model, other = make_model(), make_model()
    fit(model)
    other.optimizer.build(other.trainable_variables)
    weights = [np.array(v) for v in model.optimizer.variables]
    with pytest.raises(ValueError, match="make_train_function"):
        other.optimizer.set_weights(weights)


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam, LocoProp])
def test_a_copied_optimizer_has_the_arguments(optimizer):
    original = optimizer(learning_rate=0.5, clipnorm=2.0)
    for copied in (
        copy.deepcopy(original),
        pickle.loads(pickle.dumps(original)),
    ):
        assert type(copied) is type(original)
        assert copied.get_config() == original.get_config()


def test_configuration_is_json():
    optimizer = LocoProp(
        learning_rate=keras.optimizers.schedules.CosineDecay(0.1, 10),
        inner_optimizer=keras.optimizers.Adam(beta_1=0.5),
        exclude=["hidden"],
    )
    serialized = keras.optimizers.serialize(optimizer)
    restored = keras.optimizers.deserialize(json.loads(json.dumps(serialized)))
    assert restored.get_config() == optimizer.get_config()


def test_configuration_is_a_copy():
    optimizer = LocoProp(exclude=["hidden"])
    config = optimizer.get_config()
    before = copy.deepcopy(config)
    config["inner_optimizer"]["config"]["rho"] = 0.5
    config["fallback_optimizer"]["config"]["beta_1"] = 0.5
    config["exclude"].append("last")
    assert optimizer.get_config() == before


@pytest.mark.parametrize("built_first", [False, True])
def test_configuration_of_a_trained_optimizer_suits_other_models(built_first):
    model = make_model()
    fit(model)
    other = keras_locoprop.Sequential(
        [
            keras.Input((6,)),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    if built_first:
        other.compile_from_config(model.get_compile_config())
        assert other.optimizer.built
    else:
        fresh = LocoProp.from_config(model.optimizer.get_config())
        other.compile(fresh, "sparse_categorical_crossentropy")
    fit(other)
    assert int(other.optimizer.iterations) == BATCHES


@pytest.mark.parametrize("rate", [None, "auto"])
@pytest.mark.parametrize(
    "layer",
    [keras.layers.LayerNormalization, lambda: keras.layers.Dense(16)],
    ids=["without_local_problem", "wider"],
)
def test_its_configuration_suits_a_model_with_as_many_weights(layer, rate):
    def dense_model(layer):
        last = keras.layers.Dense(3, "softmax")
        model = keras_locoprop.Sequential([keras.Input((6,)), layer, last])
        return model

    model = dense_model(keras.layers.Dense(8))
    model.compile(LocoProp(rate), "sparse_categorical_crossentropy")
    fit(model)
    fresh = LocoProp.from_config(model.optimizer.get_config())
    other = dense_model(layer())
    assert len(other.weights) == len(model.weights)
    other.compile(fresh, "sparse_categorical_crossentropy")
    fit(other)
    assert int(fresh.iterations) == BATCHES


def test_a_configuration_of_version_0_1_0_has_the_number_of_weights():
    model = make_model()
    fit(model)
    config = model.optimizer.get_config()
    config["trainable_weights"] = len(model.trainable_weights)
    other = make_model(LocoProp.from_config(config))
    other.optimizer.build(other.trainable_variables)
    assert len(other.optimizer.variables) == len(model.optimizer.variables)


def test_a_rate_that_has_come_to_zero_is_saved(tmp_path):
    model = make_model()
    fit(
        model,
        epochs=2,
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 * epoch)
        ],
    )
    model.optimizer.learning_rate = 0.0
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    assert float(restored.optimizer.learning_rate) == 0.0
    assert_same_weights(restored, model)
    for one in (model, restored):
        one.optimizer.learning_rate = 0.01
        fit(one)
    assert_same_weights(restored, model)


@pytest.mark.parametrize(
    "identifier",
    [
        "keras_locoprop>LocoProp",
        {"class_name": "keras_locoprop>LocoProp", "config": {}},
        keras.optimizers.serialize(LocoProp()),
    ],
    ids=["name", "class", "configuration"],
)
def test_compile_takes_what_stands_for_the_optimizer(identifier):
    model, expected = make_model(identifier), make_model()
    for one in (model, expected):
        fit(one)
    assert_same_weights(model, expected)


def test_compile_configuration_is_taken_over():
    model = make_model(LocoProp(learning_rate=0.01, inner_steps=2))
    fit(model)
    clone = keras_locoprop.prepare(keras.models.clone_model(model))
    clone.compile_from_config(model.get_compile_config())
    expected = make_model(LocoProp(learning_rate=0.01, inner_steps=2))
    clone.set_weights(expected.get_weights())
    for one in (clone, expected):
        fit(one)
    assert_same_weights(clone, expected)
