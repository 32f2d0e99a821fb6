"""One inner step of plain SGD is SGD, with the product of both rates.

This holds for every network, loss and regularizer: for weights with a local
problem by construction, and for the others because the fallback is told to use
that product as its rate.
"""

import keras
import numpy as np
import pytest

import keras_locoprop
from tests.equivalence import EXAMPLES
from tests.equivalence import assert_equivalent
from tests.equivalence import own
from tests.equivalence import prepared
from tests.equivalence import random_arrays
from tests.topologies import TOPOLOGIES
from tests.topologies import dense_stack

pytestmark = [pytest.mark.backends, pytest.mark.usefixtures("float64")]


# Each stack is one network; every activation is applied to what the last gave.
ACTIVATIONS = {
    "rectifiers": ["relu", "leaky_relu", "relu6", "elu", "selu", "softplus"],
    "saturating": [
        "tanh",
        "sigmoid",
        "softsign",
        "hard_sigmoid",
        "exponential",
    ],
    "not_monotone": ["gelu", "silu", "mish", "hard_silu"],
    "several_variables": ["softmax", "log_softmax", "softmax"],
    "functions": [keras.ops.sin, keras.ops.tanh],
}

# The outputs' activation, and the loss.
LOSSES = {
    "mean_squared_error": (None, "mean_squared_error"),
    "mean_absolute_error": ("tanh", "mean_absolute_error"),
    "binary_crossentropy": ("sigmoid", "binary_crossentropy"),
    "categorical_crossentropy": ("softmax", "categorical_crossentropy"),
    "of_logits": (None, keras.losses.CategoricalCrossentropy(from_logits=True)),
    "cosine_similarity": (None, "cosine_similarity"),
    "poisson": ("softplus", "poisson"),
    "sum": (None, keras.losses.MeanSquaredError(reduction="sum")),
    "mean_with_sample_weight": (
        "sigmoid",
        keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight"),
    ),
    "a_function": (
        "tanh",
        lambda y, output: keras.ops.sum((y - output) ** 4, -1),
    ),
}

REGULARIZERS = {
    "kernel": {"kernel_regularizer": keras.regularizers.L2(0.125)},
    "bias": {"bias_regularizer": keras.regularizers.L1L2(0.125, 0.25)},
    "both": {
        "kernel_regularizer": keras.regularizers.L1(0.125),
        "bias_regularizer": keras.regularizers.L2(0.5),
    },
    "a_function": {
        "kernel_regularizer": lambda kernel: 0.125 * keras.ops.sum(kernel**4)
    },
    "activity": {"activity_regularizer": keras.regularizers.L2(0.125)},
}

CONSTRAINTS = {
    "max_norm": {"kernel_constraint": keras.constraints.MaxNorm(0.75)},
    "non_negative": {"bias_constraint": keras.constraints.NonNeg()},
    # Twice gives something else than once.
    "shrinking": {"kernel_constraint": lambda kernel: 0.75 * kernel},
}


# Each kind of model meets each topology, with one variant.
both_kinds = pytest.mark.parametrize(
    "kind, variant",
    [(own, "matching"), (prepared, "squared")],
    ids=["own", "prepared"],
)


@both_kinds
@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_topology(topology, kind, variant):
    assert_equivalent(kind(*topology()), keras.Model(*topology()), variant)


def dense_pair(*arguments, **options):
    """An own model and its stock twin."""
    return [
        make(*dense_stack(*arguments, **options)) for make in (own, keras.Model)
    ]


@pytest.mark.parametrize("variant", ["matching", "squared"])
@pytest.mark.parametrize("activations", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations(activations, variant):
    assert_equivalent(*dense_pair(activations), variant)


@pytest.mark.parametrize("case", LOSSES.values(), ids=LOSSES)
def test_losses(case):
    activation, loss = case
    models = dense_pair(["tanh", activation])
    assert_equivalent(*models, "matching", compiled={"loss": loss})


@pytest.mark.parametrize("options", REGULARIZERS.values(), ids=REGULARIZERS)
def test_regularizers(options):
    assert_equivalent(
        *dense_pair(["tanh", "relu", None], **options), "matching"
    )


@pytest.mark.parametrize("options", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_constraints(options):
    assert_equivalent(*dense_pair(["tanh", "relu", None], **options), "squared")


@pytest.mark.parametrize("options", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_constraints_of_the_fallback(options):
    def make(base):
        inputs = keras.Input((4, 5))
        hidden = keras.layers.Conv1D(3, 2, activation="tanh", **options)(inputs)
        return base(inputs, keras.layers.Dense(2)(hidden))

    assert_equivalent(make(own), make(keras.Model), "matching")


@pytest.mark.parametrize(
    "name", ["sum", "mean_with_sample_weight", "categorical_crossentropy"]
)
def test_sample_weight(name):
    activation, loss = LOSSES[name]
    assert_equivalent(
        *dense_pair(["tanh", activation]),
        "matching",
        compiled={"loss": loss},
        sample_weight=np.random.default_rng(4).uniform(0.0, 3.0, size=EXAMPLES),
    )


@both_kinds
def test_sample_weight_of_time_steps(kind, variant):
    models = [make(*TOPOLOGIES["sequence"]()) for make in (kind, keras.Model)]
    sample_weight = np.random.default_rng(4).uniform(
        0.0, 3.0, size=(EXAMPLES, 6)
    )
    assert_equivalent(*models, variant, sample_weight=sample_weight)


@both_kinds
def test_class_weight(kind, variant):
    models = [
        make(*dense_stack(["tanh", "softmax"])) for make in (kind, keras.Model)
    ]
    assert_equivalent(
        *models,
        variant,
        y=np.arange(EXAMPLES) % 4,
        compiled={
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
            "weighted_metrics": ["accuracy"],
        },
        class_weight={0: 1.0, 1: 0.25, 2: 2.0, 3: 0.0},
    )


@both_kinds
def test_loss_weights(kind, variant):
    topology = TOPOLOGIES["two_inputs_and_outputs"]
    assert_equivalent(
        kind(*topology()),
        keras.Model(*topology()),
        variant,
        compiled={
            "loss": ["mean_squared_error", "binary_crossentropy"],
            "loss_weights": [0.25, 3.0],
            "metrics": [["mae"], ["mse"]],
        },
    )


@both_kinds
def test_masked_time_steps(kind, variant):
    models = [
        make(*TOPOLOGIES["masked_sequence"]()) for make in (kind, keras.Model)
    ]
    x = random_arrays(models[0].inputs, seed=1)
    x[:, 3:] = 0.0
    assert_equivalent(*models, variant, x=x)


class Residual(keras.layers.Layer):
    """A layer of layers, which adds a loss of its own."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(5, activation="tanh")

    def call(self, inputs):
        outputs = self.dense(inputs)
        self.add_loss(0.25 * keras.ops.mean(keras.ops.square(outputs)))
        return inputs + outputs


def subclass_of(base):
    class Subclass(base):
        def __init__(self):
            super().__init__()
            self.residual = Residual()
            self.dropout = keras.layers.Dropout(0.5, seed=7)
            self.head = keras.layers.Dense(2)

        def call(self, inputs, training=False):
            hidden = self.residual(inputs)
            return self.head(self.dropout(hidden, training=training))

    return Subclass()


@both_kinds
def test_subclassed_model(kind, variant):
    model = subclass_of(keras_locoprop.Model if kind is own else keras.Model)
    if kind is prepared:
        keras_locoprop.prepare(model)
    generator = np.random.default_rng(5)
    x, y = (
        generator.normal(size=(EXAMPLES, 5)),
        generator.normal(size=(EXAMPLES, 2)),
    )
    assert_equivalent(model, subclass_of(keras.Model), variant, x=x, y=y)


@pytest.mark.parametrize(
    "options", [{"run_eagerly": True}, {"jit_compile": True}]
)
def test_ways_of_running(options):
    assert_equivalent(
        *dense_pair(["tanh", "softmax"]), "matching", compiled=options
    )
