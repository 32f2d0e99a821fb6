"""Half precision, loss scaling and double precision.

How near mixed precision comes to single precision is in tests/oracle_test.py.
"""

import keras
import numpy as np
import pytest

import keras_locoprop
from keras_locoprop import LocoProp
from tests.contract.models import BATCHES
from tests.contract.models import assert_other_weights
from tests.contract.models import assert_same_weights
from tests.contract.models import fit
from tests.contract.models import make_data
from tests.contract.models import make_model

pytestmark = pytest.mark.backends


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def state_of(model):
    """Weights, slots and counters, but for those of skipped steps."""
    tells = ("skipped_steps", "dynamic_scale", "step_counter")
    return {
        variable.path: np.array(variable)
        for variable in model.weights + model.optimizer.variables
        if variable.name not in tells
    }


def assert_same_state(before, after):
    for path, value in before.items():
        np.testing.assert_array_equal(value, after[path], err_msg=path)


@pytest.mark.parametrize(
    ("policy", "weights"),
    [
        ("float32", "float32"),
        ("mixed_bfloat16", "float32"),
        ("mixed_float16", "float32"),
        ("bfloat16", "bfloat16"),
        ("float64", "float64"),
    ],
    indirect=["policy"],
)
def test_slots_are_as_precise_as_the_weights(policy, weights):
    model = make_model()
    history = fit(model, epochs=2).history
    assert history["loss"][-1] < history["loss"][0]
    shapes = {tuple(weight.shape) for weight in model.weights}
    slots = [v for v in model.optimizer.variables if tuple(v.shape) in shapes]
    # Two of RMSprop for each of four weights, two of Adam for each of two, one
    # for the mean of each, which half precision would round away.
    assert len(slots) == (12 if weights == "bfloat16" else 18)
    assert {v.dtype for v in slots + model.weights} == {weights}
    assert model.layers[0].compute_dtype == policy.replace("mixed_", "")
    scales_loss = policy == "mixed_float16"
    assert scales_loss == isinstance(
        model.optimizer, keras.optimizers.LossScaleOptimizer
    )


@pytest.mark.parametrize("policy", ["bfloat16"], indirect=True)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"proximal": 0.1},
        {"variant": "squared", "solver": "gram"},
        {"learning_rate": "auto"},
        {"learning_rate": "auto", "solver": "iterative"},
        {"solver": "exact"},
        {"solver": "conjugate_gradient"},
    ],
    ids=str,
)
def test_weights_in_half_precision_whatever_the_arguments(policy, arguments):
    keras.utils.set_random_seed(0)
    model = keras_locoprop.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, "tanh"),
            keras.layers.Dense(3),
        ]
    )
    model.compile(LocoProp(**arguments), "mse")
    x = np.random.default_rng(0).normal(size=(64, 6))
    logger = keras_locoprop.LocalLossLogger()
    fitted = model.fit(x, x[:, :3], epochs=20, verbose=0, callbacks=[logger])
    assert fitted.history["loss"][-1] < fitted.history["loss"][0]
    assert int(model.optimizer.skipped_steps) == 0


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
def test_overflow_lowers_the_loss_scale_and_nothing_else(policy, eager):
    optimizer = keras.optimizers.LossScaleOptimizer(
        LocoProp(), initial_scale=2.0**24
    )
    model = make_model(optimizer, run_eagerly=eager)
    x, y = make_data()
    model.make_train_function()
    before, scale = state_of(model), 2.0**24
    skipped = optimizer.inner_optimizer.skipped_steps
    for _ in range(24):
        model.train_on_batch(x, y)
        if int(optimizer.inner_optimizer.iterations):
            break
        scale /= 2
        assert float(optimizer.dynamic_scale) == scale
        assert_same_state(before, state_of(model))
    assert 3 < int(skipped) < 24
    assert int(optimizer.inner_optimizer.iterations) == 1
    after = state_of(model)
    for weight in model.trainable_weights:
        assert np.any(before[weight.path] != after[weight.path])
    for _ in range(5):
        model.train_on_batch(x, y)
    assert int(optimizer.inner_optimizer.iterations) == 6


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_loss_scale_grows_and_does_not_matter(policy):
    def trained(**options):
        model = make_model(
            keras.optimizers.LossScaleOptimizer(LocoProp(), **options)
        )
        fit(model)
        return model

    growing = trained(initial_scale=8.0, dynamic_growth_steps=2)
    steady = trained(initial_scale=1024.0)
    assert float(growing.optimizer.dynamic_scale) == 16.0
    assert float(steady.optimizer.dynamic_scale) == 1024.0
    # Powers of two leave no trace but where half precision ends.
    assert_same_weights(growing, steady, atol=1e-3)
    assert_other_weights(growing, make_model())


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_a_scaled_training_is_resumed(policy, tmp_path):
    model = make_model()
    fit(model)
    model.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    assert type(resumed) is keras_locoprop.Sequential
    steps = []
    for one in (model, resumed):
        fit(one)
        steps.append(int(one.optimizer.inner_optimizer.iterations))
    # Steps may have been left out while the scale was too large.
    assert BATCHES < steps[0] == steps[1]
    assert_same_weights(model, resumed)


@pytest.mark.parametrize("policy", ["float16"], indirect=True)
def test_half_precision_need_not_hold_the_scale_of_the_loss(policy):
    del policy
    x = np.random.default_rng(0).normal(size=(64, 6))

    def make(**arguments):
        keras.utils.set_random_seed(0)
        model = keras_locoprop.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(8, "tanh"),
                keras.layers.LayerNormalization(),
                keras.layers.Dense(3),
            ]
        )
        model.compile(LocoProp(**arguments), "mse")
        return model

    plain, scaled = make(), make(loss_scale_factor=2.0**16)
    start = scaled.get_weights()
    for model in (plain, scaled):
        model.train_on_batch(x, x[:, :3])
    # On some backends the gradients overflow, too: then no step is taken.
    is_skipped = int(scaled.optimizer.skipped_steps) == 1
    expected = start if is_skipped else plain.get_weights()
    for one, other in zip(expected, scaled.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.01, atol=0.001)
