import ast
import inspect
import pickle
import re

import keras
import numpy as np
import pytest

from keras_locoprop import LocoProp
from keras_locoprop import Sequential
from keras_locoprop.configuration import default_inner_optimizer

pytestmark = pytest.mark.backends


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("activation_learning_rate", 0.0),
        ("activation_learning_rate", float("inf")),
        ("activation_learning_rate", None),
        ("variant", "quadratic"),
        ("gradient_scaling", "root"),
        ("learning_rate_scaling", "width"),
        ("inner_steps", 0),
        ("inner_steps", 2.5),
        ("inner_steps", True),
        ("inner_batch_size", 0),
        ("inner_batch_size", "some"),
        ("inner_decay", -0.1),
        ("inner_decay", 1.1),
        ("proximal", -1.0),
        ("exclude", "dense"),
        ("exclude", [re.compile("dense")]),
        ("exclude", [b"dense"]),
        ("exclude", ["("]),
        ("exclude", [3]),
        ("solver", "newton"),
        ("output_scaling", "all"),
        ("damping", 0.0),
        ("curvature_period", 0),
        ("maximum_width", -1),
        ("inner_optimizer", "no such optimizer"),
        ("inner_optimizer", 3.0),
        ("fallback_optimizer", "no such optimizer"),
        ("fallback_optimizer", None),
    ],
)
def test_out_of_range(argument, value):
    with pytest.raises(ValueError) as error:
        LocoProp(**{argument: value})
    assert f"`{argument}` must be" in str(error.value)
    assert f"Received: {argument}=" in str(error.value)


def test_numbers_of_numpy():
    """As `np.arange` and arrays in half precision have them."""
    numbers = {
        "learning_rate": np.float32(0.5),
        "activation_learning_rate": np.float16(0.25),
        "inner_steps": np.int64(2),
        "inner_batch_size": np.uint8(64),
        "proximal": np.float64(0.5),
        "damping": np.int32(1),
        "weight_decay": np.float32(0.25),
        "ema_overwrite_frequency": np.int64(3),
    }
    config = LocoProp(use_ema=True, **numbers).get_config()
    for name, number in numbers.items():
        assert config[name] == number
        assert type(config[name]) in (int, float)
    with pytest.raises(ValueError, match="`inner_steps` must be an integer"):
        LocoProp(inner_steps=np.float32(2.0))


def several(*optimizers):
    """An optimizer that hands each weight to one of others."""
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has no MultiOptimizer")
    default, *others = optimizers or [keras.optimizers.SGD()]
    by_path = keras.optimizers.OptimizerMap(default)
    for optimizer in others:
        by_path[optimizer.name] = optimizer
    return keras.optimizers.MultiOptimizer(by_path)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_it_is_not_one_of_several(run_eagerly):
    model = Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    optimizer = several(keras.optimizers.SGD(), LocoProp())
    model.compile(optimizer, "mse", run_eagerly=run_eagerly)
    before = model.get_weights()
    with pytest.raises(ValueError, match="`optimizer` must be `LocoProp` its"):
        model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    np.testing.assert_equal(model.get_weights(), before)


@pytest.mark.parametrize("argument", ["inner_optimizer", "fallback_optimizer"])
@pytest.mark.parametrize(
    "make",
    [
        LocoProp,
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
        several,
        lambda: keras.optimizers.SGD(use_ema=True),
        lambda: keras.optimizers.SGD(gradient_accumulation_steps=2),
        lambda: keras.optimizers.SGD(loss_scale_factor=2.0),
        lambda: keras.optimizers.SGD(lambda: 0.1),
    ],
    ids=[
        "locoprop",
        "loss_scale",
        "several",
        "average",
        "accumulation",
        "scale",
        "rate",
    ],
)
def test_optimizers_that_cannot_serve(argument, make):
    with pytest.raises(ValueError, match=f"`{argument}` must"):
        LocoProp(**{argument: make()})


def falling():
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 100)
    return keras.optimizers.SGD(schedule)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"solver": "exact", "variant": "matching"}, "`variant` must be .*sq"),
        ({"solver": "gram", "variant": "matching"}, "`variant` must be .*sq"),
        ({"solver": "exact", "proximal": 1.0}, "`proximal` must be 0 with"),
        ({"output_scaling": "full"}, "`output_scaling` must be `None` unless"),
        (
            {"solver": "gram", "inner_batch_size": 64},
            '`inner_batch_size` must be `None` or "all" with `solver="gram"`',
        ),
        (
            {"solver": "conjugate_gradient", "inner_batch_size": 64},
            '`inner_batch_size` must be `None` or "all" with',
        ),
        (
            {"learning_rate": "auto", "gradient_accumulation_steps": 2},
            "`gradient_accumulation_steps` must not be set with",
        ),
        (
            {"learning_rate": "auto", "global_clipnorm": 1.0},
            "`global_clipnorm` must not be set with .* global_clipnorm=1.0",
        ),
        *(
            (
                {**arguments, "inner_optimizer": falling()},
                "`inner_optimizer` must have a number for its learning rate",
            )
            for arguments in (
                {"solver": "exact"},
                {"learning_rate": "auto"},
                {"learning_rate": "auto", "solver": "iterative"},
            )
        ),
    ],
)
def test_arguments_that_do_not_go_together(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocoProp(**arguments)


def test_a_schedule_suits_solvers_that_do_not_read_it():
    LocoProp("auto", solver="conjugate_gradient", inner_optimizer=falling())
    LocoProp(inner_optimizer=falling())


def test_what_an_automatic_step_brings_with_it():
    optimizer = LocoProp("auto")
    assert optimizer.solver == "exact"
    assert optimizer.variant == "squared"
    assert optimizer.output_scaling == "full"
    assert LocoProp("auto", solver="iterative").output_scaling is None
    assert LocoProp().solver == "iterative"
    assert LocoProp().variant == "matching"


def test_the_settings_of_the_paper():
    optimizer = LocoProp.paper(inner_steps=4)
    assert float(optimizer.learning_rate) == pytest.approx(1e-5)
    assert optimizer.activation_learning_rate == 0.01
    assert optimizer.gradient_scaling == "absolute"
    assert optimizer.inner_batch_size == "all"
    assert optimizer.inner_steps == 4


def test_unknown_argument():
    with pytest.raises(ValueError, match="learning_rates"):
        LocoProp(learning_rates=0.1)


def test_arguments_of_keras_are_checked_by_keras():
    with pytest.raises(ValueError, match="Only one of `clipnorm`"):
        LocoProp(clipnorm=1.0, clipvalue=1.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"learning_rate": 0.5, "activation_learning_rate": 0.25},
        {"learning_rate": 0.0},
        {"variant": "squared", "gradient_scaling": "absolute"},
        {"inner_steps": 3, "inner_batch_size": "all", "inner_decay": 0.0},
        {"inner_batch_size": 7, "proximal": 2.0, "exclude": ["dense", "a.*"]},
        {"inner_optimizer": "nadam", "fallback_optimizer": "sgd"},
        {"weight_decay": 0.1, "clipnorm": 1.0, "use_ema": True, "name": "l"},
        {"learning_rate": "auto", "damping": 0.5},
        {"solver": "exact", "output_scaling": "unit", "maximum_width": 9},
        {"solver": "conjugate_gradient", "curvature_period": 3},
        {
            "inner_optimizer": keras.optimizers.SGD(0.3, momentum=0.9),
            "fallback_optimizer": keras.optimizers.Lion(0.2, beta_1=0.8),
        },
        {
            "learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 10),
        },
    ],
    ids=lambda arguments: "-".join(arguments) or "defaults",
)
def test_configuration_round_trip(arguments):
    optimizer = LocoProp(**arguments)
    config = optimizer.get_config()
    again = LocoProp.from_config(config)
    assert again.get_config() == config
    serialized = keras.optimizers.serialize(optimizer)
    restored = keras.optimizers.deserialize(serialized)
    assert isinstance(restored, LocoProp)
    assert restored.get_config() == config


def test_learning_rate_defaults_to_that_of_the_inner_optimizer():
    inner = keras.optimizers.SGD(0.3)
    rate = LocoProp(inner_optimizer=inner).learning_rate
    np.testing.assert_allclose(rate, 0.3)
    rate = LocoProp(learning_rate=0.1, inner_optimizer=inner).learning_rate
    np.testing.assert_allclose(rate, 0.1)


def test_learning_rate_can_be_read_and_set():
    optimizer = LocoProp(learning_rate=0.5)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25


def test_the_optimizers_given_are_templates():
    inner, fallback = keras.optimizers.Adam(), keras.optimizers.SGD()
    model = Sequential(
        [keras.layers.Dense(3), keras.layers.LayerNormalization()]
    )
    model.compile(
        LocoProp(inner_optimizer=inner, fallback_optimizer=fallback), "mse"
    )
    model.fit(np.ones((4, 3)), np.ones((4, 3)), verbose=0)
    assert not inner.built
    assert not fallback.built


@pytest.mark.parametrize(
    "name",
    [
        "adadelta",
        "adafactor",
        "adagrad",
        "adam",
        "adamax",
        "adamw",
        "ftrl",
        "lion",
        "nadam",
        "rmsprop",
        "sgd",
    ],
)
def test_any_keras_optimizer_can_be_the_inner_one(name):
    model = Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    x = np.linspace(-1.0, 2.0, 64)[:, None]
    model.compile(LocoProp(inner_optimizer=name), "mse")
    model.build(x.shape)
    before = model.get_weights()
    model.fit(x, x, verbose=0, epochs=2)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.all(np.isfinite(new))
        assert np.any(old != new)


def test_state_is_in_a_fixed_order():
    def names():
        keras.utils.clear_session()
        model = Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(4),
                keras.layers.LayerNormalization(),
                keras.layers.Dense(1),
            ]
        )
        model.compile(LocoProp(use_ema=True), "mse", run_eagerly=True)
        model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
        return [v.path.split("/")[-1] for v in model.optimizer.variables]

    assert names() == names()
    assert len(names()) == 4 + 6 + (1 + 4 * 2) + (2 + 2 * 2)


def test_another_model_needs_another_optimizer():
    optimizer = LocoProp()
    for units in (3, 4):
        model = Sequential([keras.Input((2,)), keras.layers.Dense(units)])
        model.compile(optimizer, "mse")
        if units == 3:
            model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
            continue
        with pytest.raises(
            ValueError, match="built for, or a weight that was frozen"
        ):
            model.fit(np.ones((4, 2)), np.ones((4, 4)), verbose=0)


def test_an_optimizer_that_keras_built_for_another_model():
    """Before it knew of local problems."""
    optimizer = LocoProp()
    x, y = np.ones((4, 2)), np.ones((4, 3))
    stock = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    optimizer.build(stock.trainable_variables)
    model = Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(optimizer, "mse")
    before = model.get_weights()
    with pytest.raises(
        ValueError, match="built for, or a weight that was frozen"
    ):
        model.fit(x, y, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "name",
    [
        "inner_steps",
        "damping",
        "exclude",
        "inner_optimizer",
        "fallback_optimizer",
    ],
)
def test_what_comes_too_late_is_refused(name):
    optimizer = LocoProp()
    before = optimizer.get_config()[name]
    with pytest.raises(AttributeError, match=f"`{name}` must .*{name}=7"):
        setattr(optimizer, name, 7)
    assert optimizer.get_config()[name] == before
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5


def test_the_configuration_is_of_plain_values():
    optimizer = LocoProp(exclude=["last"])
    config = optimizer.get_config()
    assert type(config["exclude"]) is list
    assert pickle.loads(pickle.dumps(config)) == config


def test_every_argument_is_in_the_configuration():
    arguments = set(inspect.signature(LocoProp).parameters) - {"kwargs"}
    assert arguments <= LocoProp().get_config().keys()


def test_documented_defaults_are_the_defaults():
    text = " ".join(LocoProp.__doc__.split())
    for name, parameter in inspect.signature(LocoProp).parameters.items():
        if name == "kwargs":
            continue
        described = text.split(f" {name}: ")[1]
        documented = re.search(r"Defaults to `(.*?)`", described)[1]
        assert ast.literal_eval(documented) == parameter.default, name
    inner = default_inner_optimizer().get_config()
    documented = re.search(r"`RMSprop\((.*?), (.*?)\)`", text)
    assert np.isclose(float(documented[1]), inner["learning_rate"])
    for setting in documented[2].split(", "):
        name, value = setting.split("=")
        assert inner[name] == float(value)
