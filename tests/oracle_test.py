"""The package against the oracle: every weight after several batches.

In double precision, where only a true difference can be seen. Numbers that
Keras and TensorFlow hold in single precision, whatever the weights are in, are
binary fractions here.
"""

import dataclasses

import keras
import numpy as np
import pytest

from tests import oracle
from tests import twins
from tests.twins import Run

pytestmark = pytest.mark.backends

ABSOLUTE = {"gradient_scaling": "absolute"}
SQUARED = {"variant": "squared"}
MOMENTUM = ("SGD", {"momentum": 0.875})
NESTEROV = ("SGD", {"momentum": 0.875, "nesterov": True})
ADAGRAD = ("Adagrad", {"initial_accumulator_value": 0.25})
RMSPROP = ("RMSprop", {"momentum": 0.875, "epsilon": 1e-4})
ADAM = ("Adam", {"beta_1": 0.75, "beta_2": 0.96875, "epsilon": 1e-3})

AUTOENCODER = (4, "tanh"), (2, "linear"), (4, "tanh"), (5, "sigmoid")
CLASSIFIER = (6, "relu"), (5, "relu"), (3, "softmax")
REGRESSOR = (6, "tanh"), (2, "linear")

# Variants, scalings, inner optimizers, losses, activations and depths; every
# value of one meets both values of `variant` and of `gradient_scaling`
# somewhere, most meet more.
RUNS = {
    "matching_rmsprop_autoencoder": Run(
        AUTOENCODER,
        loss="summed_binary_crossentropy",
        inner_optimizer=RMSPROP,
        learning_rate=2**-7,
        locoprop=ABSOLUTE | {"inner_steps": 5, "inner_batch_size": "all"},
    ),
    "squared_rmsprop_autoencoder": Run(
        AUTOENCODER,
        loss="binary_crossentropy",
        inner_optimizer=RMSPROP,
        learning_rate=2**-7,
        locoprop=SQUARED | {"inner_steps": 5, "inner_batch_size": 5},
    ),
    "matching_sgd_classifier": Run(
        CLASSIFIER,
        loss="categorical_crossentropy",
        locoprop={"inner_steps": 4, "inner_batch_size": 4},
    ),
    "squared_nesterov_classifier": Run(
        CLASSIFIER,
        loss="categorical_crossentropy",
        inner_optimizer=NESTEROV,
        locoprop=ABSOLUTE | SQUARED | {"inner_steps": 4, "inner_batch_size": 3},
    ),
    "matching_nesterov": Run(
        ((6, "softsign"), (2, "linear")),
        inner_optimizer=NESTEROV,
        locoprop={"inner_steps": 7, "inner_batch_size": 5},
    ),
    "matching_momentum": Run(
        ((4, "softplus"), (4, "sigmoid"), (2, "linear")),
        loss="huber",
        inner_optimizer=MOMENTUM,
        locoprop=ABSOLUTE | {"inner_steps": 6, "inner_batch_size": 4},
    ),
    "squared_momentum": Run(
        ((4, "elu"), (2, "softplus")),
        inner_optimizer=MOMENTUM,
        locoprop=SQUARED | {"inner_steps": 10, "inner_batch_size": "all"},
    ),
    "matching_adagrad": Run(
        ((4, "elu"), (4, "selu"), (2, "linear")),
        loss="huber",
        inner_optimizer=ADAGRAD,
        locoprop={"inner_steps": 3, "inner_batch_size": "all"},
    ),
    "squared_adagrad": Run(
        REGRESSOR,
        inner_optimizer=ADAGRAD,
        locoprop=ABSOLUTE | SQUARED | {"inner_steps": 3, "inner_batch_size": 5},
    ),
    "matching_adam": Run(
        CLASSIFIER,
        loss="categorical_crossentropy",
        inner_optimizer=ADAM,
        locoprop=ABSOLUTE | {"inner_steps": 6, "inner_batch_size": 5},
    ),
    "squared_adam": Run(
        ((4, "sigmoid"), (4, "softmax"), (2, "linear")),
        inner_optimizer=ADAM,
        locoprop=SQUARED | {"inner_steps": 6, "inner_batch_size": "all"},
    ),
    "matching_softmax_within": Run(
        ((4, "softmax"), (5, "tanh"), (3, "softmax")),
        inner_optimizer=MOMENTUM,
        locoprop={"inner_steps": 3, "inner_batch_size": "all"},
    ),
    "matching_without_matching_loss": Run(
        ((6, "silu"), (4, "tanh"), (3, "log_softmax")),
        locoprop={"inner_steps": 3, "inner_batch_size": "all"},
    ),
    "one_layer": Run(
        ((2, "sigmoid"),),
        loss="binary_crossentropy",
        locoprop={"inner_steps": 3, "inner_batch_size": "all"},
    ),
}

# One departure each from a common run.
BASE = Run(
    REGRESSOR,
    inner_optimizer=RMSPROP,
    learning_rate=2**-7,
    locoprop={"inner_steps": 4, "inner_batch_size": 5},
)
PENALIZED = {
    "kernel_regularizer": keras.regularizers.L2(0.25),
    "bias_regularizer": keras.regularizers.L2(0.5),
}
DEPARTURES = {
    "one_step": {"locoprop": {"inner_steps": 1, "inner_batch_size": "all"}},
    "more_slices_than_steps": {
        "locoprop": {"inner_steps": 2, "inner_batch_size": 3}
    },
    "slice_beyond_batch": {
        "locoprop": {"inner_steps": 3, "inner_batch_size": 64}
    },
    "row_by_row": {"locoprop": {"inner_steps": 12, "inner_batch_size": 1}},
    "no_decay": {"locoprop": BASE.locoprop | {"inner_decay": 1.0}},
    "decay_without_floor": {"locoprop": BASE.locoprop | {"inner_decay": 0.0}},
    "proximal": {"locoprop": BASE.locoprop | {"proximal": 2.0}},
    "proximal_squared": {
        "locoprop": BASE.locoprop | SQUARED | {"proximal": 2.0}
    },
    # Slices of 2, 3, 3 and 3 rows; of 2 and 3 in the last batch.
    "last_batch_shorter": {
        "batch_size": 11,
        "examples": 27,
        "locoprop": {"inner_steps": 4, "inner_batch_size": 3},
    },
    "sample_weight": {"weighted": True},
    "sample_weight_absolute": {
        "weighted": True,
        "locoprop": BASE.locoprop | ABSOLUTE,
    },
    "penalties": {"layer_options": PENALIZED},
    "penalties_absolute": {
        "layer_options": PENALIZED,
        "locoprop": BASE.locoprop | ABSOLUTE | SQUARED,
    },
    "sequence": {"sequence": (3,)},
    "sequence_absolute": {
        "sequence": (3,),
        "loss": "huber",
        "locoprop": BASE.locoprop | ABSOLUTE | SQUARED,
    },
    "no_bias": {"layer_options": {"use_bias": False}},
    "eager": {"compile_options": {"run_eagerly": True}},
    "compiled": {"compile_options": {"jit_compile": True}},
}


def train_both(run):
    """Returns the model, the oracle, and the mean loss that each saw."""
    x, y, sample_weight = twins.make_data(run)
    model = twins.make_model(run)
    expected = twins.make_oracle(run, model)
    losses = expected.fit(x, y, run.batch_size, sample_weight)
    rows = [
        len(x[start:][: run.batch_size])
        for start in range(0, len(x), run.batch_size)
    ]
    history = model.fit(
        x,
        y,
        batch_size=run.batch_size,
        sample_weight=sample_weight,
        shuffle=False,
        verbose=0,
    )
    return (
        model,
        expected,
        history.history["loss"][0],
        np.average(losses, weights=rows),
    )


def assert_weights_agree(model, expected, **tolerance):
    pairs = zip(
        model.trainable_variables,
        oracle.weights_of(expected.layers),
        strict=True,
    )
    for variable, weight in pairs:
        np.testing.assert_allclose(
            np.asarray(variable), weight, err_msg=variable.path, **tolerance
        )


def assert_agreement(run, **tolerance):
    model, expected, loss, expected_loss = train_both(run)
    assert_weights_agree(model, expected, **tolerance)
    np.testing.assert_allclose(loss, expected_loss, **tolerance)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_agreement(run, float64):
    assert_agreement(run, rtol=1e-9, atol=1e-11)


def test_agreement_of_saturating_layers(float64):
    run = Run(
        ((4, "relu6"), (4, "hard_sigmoid"), (2, "exponential")),
        locoprop=ABSOLUTE | {"inner_steps": 3, "inner_batch_size": "all"},
    )
    # PyTorch holds the slope of hard_sigmoid in single precision.
    is_single = keras.backend.backend() == "torch"
    rtol, atol = (1e-6, 1e-8) if is_single else (1e-9, 1e-11)
    assert_agreement(run, rtol=rtol, atol=atol)


@pytest.mark.not_on("torch", reason="Keras takes one step at a time there")
def test_agreement_of_several_steps_per_execution(float64):
    run = dataclasses.replace(BASE, compile_options={"steps_per_execution": 2})
    assert_agreement(run, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("departure", DEPARTURES.values(), ids=DEPARTURES)
def test_agreement_of_departures(departure, float64):
    run = dataclasses.replace(BASE, **departure)
    assert_agreement(run, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("variant", ["matching", "squared"])
def test_agreement_of_leaky_relu(variant, float64):
    run = Run(
        ((6, "leaky_relu"), (4, "leaky_relu"), (2, "leaky_relu")),
        locoprop={"variant": variant, "inner_steps": 3, "inner_batch_size": 5},
    )
    # TensorFlow holds the slope in single precision.
    assert_agreement(run, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "name", ["matching_rmsprop_autoencoder", "squared_adam"]
)
def test_agreement_in_single_precision(name):
    assert_agreement(RUNS[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("scaling", ["relative", "absolute"])
def test_agreement_in_mixed_precision(scaling, policy):
    """Gradients of two precisions meet in the one number that scales them."""
    run = dataclasses.replace(
        BASE,
        inner_optimizer=MOMENTUM,
        locoprop=BASE.locoprop | {"gradient_scaling": scaling},
        layer_options={"dtype": policy},
        last_layer_options={"dtype": "float32"},
    )
    # Half precision has eleven significant bits, brain floats have eight; the
    # weights move by about 0.05, and what they miss of it is a share of that.
    atol = {"mixed_float16": 1e-4, "mixed_bfloat16": 1e-3}[policy]
    assert_weights_agree(*train_both(run)[:2], rtol=0, atol=atol)


@pytest.mark.parametrize("inner_optimizer", [MOMENTUM, RMSPROP, ADAM])
def test_agreement_with_rates_relative_to_the_weights(inner_optimizer, float64):
    run = dataclasses.replace(
        BASE,
        inner_optimizer=inner_optimizer,
        locoprop=BASE.locoprop | {"learning_rate_scaling": "relative"},
    )
    assert_weights_agree(*train_both(run)[:2], rtol=1e-9, atol=1e-11)


def test_agreement_with_a_schedule(float64):
    """The schedule counts batches, and the inner decay is on top of it."""
    schedule = keras.optimizers.schedules.InverseTimeDecay(
        2**-5, decay_steps=1, decay_rate=1.0
    )
    run = dataclasses.replace(BASE, learning_rate=schedule)
    x, y, _ = twins.make_data(run)
    model = twins.make_model(run)
    expected = twins.make_oracle(run, model)
    expected.learning_rate = lambda batches: 2**-5 / (1 + batches)
    expected.fit(x, y, run.batch_size)
    model.fit(x, y, batch_size=run.batch_size, shuffle=False, verbose=0)
    # Keras computes schedules in single precision.
    assert_weights_agree(model, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("scaling", ["relative", "absolute"])
@pytest.mark.parametrize("variant", ["matching", "squared"])
def test_no_step_at_a_stationary_point(variant, scaling, float64):
    """Where no gradient flows its root mean square is zero, and divides."""
    locoprop = {"variant": variant, "gradient_scaling": scaling}
    run = dataclasses.replace(BASE, locoprop=BASE.locoprop | locoprop)
    x, y, _ = twins.make_data(run)
    model = twins.make_model(run)
    for variable in model.layers[-1].variables:
        variable.assign(np.zeros(variable.shape))
    before = model.get_weights()
    model.fit(x, 0.0 * y, batch_size=run.batch_size, shuffle=False, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=0, atol=1e-12)
