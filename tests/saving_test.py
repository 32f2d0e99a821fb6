"""Models and optimizers are saved, resumed, cloned and exported."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from tests.small_models import MODELS
from tests.small_models import Subclassed
from tests.small_models import all_models
from tests.small_models import compiled

OPTIMIZERS = {
    "defaults": {},
    "adam_inside": {"inner_optimizer": "adam", "inner_batch_size": 5},
    "squared": {"variant": "squared", "proximal": 1.0},
    "kept_averages": {"use_ema": True, "gradient_accumulation_steps": 2},
    "excluded": {"exclude": ["dense.*"], "fallback_optimizer": "rmsprop"},
    "automatic": {"learning_rate": "auto"},
    "exact": {"solver": "exact", "output_scaling": "unit", "maximum_width": 7},
    "gram": {"solver": "gram"},
    "conjugate_gradient": {"solver": "conjugate_gradient"},
    "schedule": {
        "learning_rate": keras.optimizers.schedules.CosineDecay(1e-4, 50)
    },
}


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 6)).astype("float32")
    return x, np.argmax(x[:, :3], axis=-1)


def fit(model, data):
    model.fit(*data, batch_size=16, epochs=2, shuffle=False, verbose=0)


def assert_equal_weights(left, right):
    for one, other in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def make_stack():
    return keras_locoprop.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "relu", name="dense_in"),
            layers.LayerNormalization(),
            layers.Dense(3, "softmax", name="out"),
        ]
    )


@pytest.mark.backends
@pytest.mark.parametrize("arguments", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_resumed_training_is_bit_equal(arguments, data, tmp_path):
    model = compiled(make_stack, LocoProp(**arguments))
    fit(model, data)
    model.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    assert type(resumed) is keras_locoprop.Sequential
    for one, other in zip(
        model.optimizer.variables, resumed.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    fit(model, data)
    fit(resumed, data)
    assert_equal_weights(model, resumed)


@pytest.mark.backends
def test_evaluation_leaves_the_averages_of_weights(data, tmp_path):
    model = compiled(make_stack, LocoProp(**OPTIMIZERS["kept_averages"]))

    def state():
        return [
            keras.ops.convert_to_numpy(v) for v in model.optimizer.variables
        ]

    fit(model, data)
    before = state()
    model.evaluate(*data, verbose=0)
    for one, other in zip(before, state(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.save(tmp_path / "model.keras")
    fit(model, data)


@pytest.mark.backends
@pytest.mark.parametrize(
    "name",
    [name for name in MODELS if "subclass" not in name],
)
def test_every_kind_of_model_resumes(name, data, tmp_path):
    model = compiled(MODELS[name])
    fit(model, data)
    model.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    if name.startswith("prepared"):
        assert type(resumed).__module__.startswith("keras.")
        with pytest.raises(ValueError, match=r"prepare\(model\)"):
            fit(keras.saving.load_model(tmp_path / "model.keras"), data)
        keras_locoprop.prepare(resumed)
    fit(model, data)
    fit(resumed, data)
    assert_equal_weights(model, resumed)


@pytest.mark.backends
def test_weights_and_state_of_a_subclassed_model(data, tmp_path):
    model = compiled(Subclassed)
    fit(model, data)
    model.save_weights(tmp_path / "model.weights.h5")
    resumed = compiled(Subclassed)
    resumed(data[0])
    # As BackupAndRestore does it: the state has to exist before it is loaded.
    resumed.make_train_function()
    resumed.load_weights(tmp_path / "model.weights.h5")
    fit(model, data)
    fit(resumed, data)
    assert_equal_weights(model, resumed)


@pytest.mark.backends
def test_saved_before_training(data, tmp_path):
    model = compiled(make_stack)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    fit(model, data)
    fit(loaded, data)
    assert_equal_weights(model, loaded)


@pytest.mark.backends
@pytest.mark.parametrize("name", ["sequential_built", "functional"])
def test_clone(name, data):
    model = compiled(MODELS[name])
    fit(model, data)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    # Keras clones any Sequential, of whatever class, into its own.
    clone = compiled(lambda: keras_locoprop.prepare(clone))
    model.compile(LocoProp(), "sparse_categorical_crossentropy")
    fit(model, data)
    fit(clone, data)
    assert_equal_weights(model, clone)


@pytest.mark.backends
def test_pickle(data):
    model = compiled(make_stack)
    fit(model, data)
    copy = pickle.loads(pickle.dumps(model))
    fit(model, data)
    fit(copy, data)
    assert_equal_weights(model, copy)


CONSUMER = """
import importlib.util
import sys

for package in ("keras", "keras_locoprop", "tf_keras"):
    assert importlib.util.find_spec(package) is None, package
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
inputs = tf.constant(np.load(sys.argv[2]))
[by_signature] = model.signatures["serving_default"](inputs).values()
np.save(sys.argv[3], np.stack([model.serve(inputs), by_signature]))
"""


@pytest.fixture(scope="module")
def packages_without_keras(tmp_path_factory):
    """A folder with all that is installed beside TensorFlow, but for Keras."""
    import tensorflow as tf

    installed = Path(tf.__file__).parents[1]
    folder = tmp_path_factory.mktemp("packages")
    for package in installed.iterdir():
        if "keras" not in package.name.lower():
            (folder / package.name).symlink_to(package)
    return folder


def run(*command, cwd, **environment):
    result = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def exported_shapes(folder):
    """The shapes of what is stored, without what Keras stores a second time."""
    import tensorflow as tf

    stored = tf.train.list_variables(str(folder / "variables" / "variables"))
    return [
        tuple(shape)
        for name, shape in stored
        if not name.startswith(("_all_variables", "_CHECKPOINTABLE"))
    ]


@all_models
def test_export_answers_without_keras(
    make, data, tmp_path, packages_without_keras
):
    model = compiled(make)
    fit(model, data)
    model.export(tmp_path / "exported", verbose=False)
    expected = model.predict(data[0], verbose=0)
    np.save(tmp_path / "inputs.npy", data[0])
    run(
        sys.executable,
        "-S",  # No site-packages: the one folder is all there is.
        "-c",
        CONSUMER,
        "exported",
        "inputs.npy",
        "outputs.npy",
        cwd=tmp_path,
        PYTHONPATH=str(packages_without_keras),
    )
    for outputs in np.load(tmp_path / "outputs.npy"):
        np.testing.assert_allclose(outputs, expected, atol=1e-6)
    # The weights, and no state of the optimizer.
    assert sorted(exported_shapes(tmp_path / "exported")) == sorted(
        tuple(weight.shape) for weight in model.weights
    )


def test_saved_model_cli_answers(data, tmp_path):
    model = compiled(make_stack)
    fit(model, data)
    model.export(tmp_path / "exported", verbose=False)
    np.save(tmp_path / "inputs.npy", data[0])
    cli = Path(sys.executable).with_name("saved_model_cli")
    arguments = ["--dir", "exported", "--tag_set", "serve"]
    shown = run(cli, "show", *arguments, cwd=tmp_path)
    assert "serve" in shown
    assert "serving_default" in shown
    signature = run(
        cli,
        "show",
        *arguments,
        "--signature_def",
        "serving_default",
        cwd=tmp_path,
    )
    key = signature.split("inputs['")[1].split("'")[0]
    run(
        cli,
        "run",
        *arguments,
        "--signature_def",
        "serving_default",
        "--inputs",
        f"{key}=inputs.npy",
        "--outdir",
        "answers",
        cwd=tmp_path,
    )
    [answer] = (tmp_path / "answers").glob("*.npy")
    np.testing.assert_allclose(
        np.load(answer), model.predict(data[0], verbose=0), atol=1e-6
    )
