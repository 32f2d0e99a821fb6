"""Activations that stand behind a layer choose its local loss."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import losses

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop import coverage
from keras_locoprop.model_graph import losses_of_outputs

FEATURES, CLASSES, EXAMPLES = 5, 3, 40


@pytest.fixture
def data():
    x = np.random.normal(size=(EXAMPLES, FEATURES)).astype("float32")
    return x, np.argmax(x[:, :CLASSES], axis=-1)


def chain(*parts):
    inputs = outputs = keras.Input((FEATURES,))
    for part in parts:
        outputs = part(outputs)
    return keras_locoprop.Model(inputs, outputs)


def rows_of(model):
    return {row.layer: row for row in coverage(model)}


def dense(units=4, activation=None):
    return layers.Dense(units, activation, name="dense")


FOLLOWERS = {
    "relu": lambda: layers.ReLU(),
    "relu6": lambda: layers.Activation("relu6"),
    "tanh": lambda: layers.Activation("tanh"),
    "leaky_relu": lambda: layers.LeakyReLU(0.2),
    "elu": lambda: layers.ELU(),
    "softmax": lambda: layers.Softmax(),
}


def trained(model, data, weights, loss="sparse_categorical_crossentropy"):
    model.set_weights(weights)
    model.compile(optimizer=LocoProp(), loss=loss)
    model.fit(*data, batch_size=16, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("activation", FOLLOWERS)
def test_an_activation_layer_is_as_good_as_an_argument(activation, data):
    head = layers.Dense(CLASSES, "softmax", name="head")
    argument = chain(dense(4, activation), head)
    head = layers.Dense(CLASSES, "softmax", name="head")
    layer = chain(dense(), FOLLOWERS[activation](), head)
    row = rows_of(layer)["dense"]
    assert row.trained_by == "matching loss"
    assert row.activation.endswith(f"({layer.layers[2].name})")
    weights = argument.get_weights()
    for one, other in zip(
        trained(argument, data, weights),
        trained(layer, data, weights),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_prelu_matches_its_slopes_of_the_day(data):
    slope = layers.PReLU(keras.initializers.Constant(0.2), name="slope")
    head = layers.Dense(CLASSES, "softmax", name="head")
    model = chain(dense(), slope, head)
    rows = rows_of(model)
    assert rows["dense"].trained_by == "matching loss"
    assert rows["slope"].trained_by == "fallback"
    before = slope.alpha.numpy()
    trained(model, data, model.get_weights())
    assert np.all(slope.alpha.numpy() != before)


def bent(z):
    return z + 0.1 * keras.ops.sin(z)


@pytest.mark.parametrize("is_argument", [False, True])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: layers.ReLU(threshold=1.0), "ReLU is discontinuous, falls"),
        (lambda: layers.Softmax(axis=1), "Softmax is discontinuous, falls"),
        (lambda: layers.Activation("gelu"), "gelu is not monotone"),
        (lambda: layers.Activation(bent), "bent is unregistered"),
    ],
    ids=["jumps", "other_axis", "not_monotone", "unregistered"],
)
def test_an_activation_layer_without_a_matching_loss(make, why, is_argument):
    inputs = keras.Input((4, FEATURES))
    if is_argument:
        outputs = layers.Dense(3, make(), name="dense")(inputs)
    else:
        outputs = make()(dense()(inputs))
    row = rows_of(keras.Model(inputs, outputs))["dense"]
    assert row.trained_by == "squared loss"
    assert row.reason.startswith(why)
    assert row.reason.endswith(": no matching loss")


@pytest.mark.parametrize(
    "normalization",
    [layers.BatchNormalization, layers.LayerNormalization],
)
def test_a_normalization_ends_the_local_problem(normalization):
    model = chain(dense(), normalization(name="norm"), layers.ReLU())
    row = rows_of(model)["dense"]
    assert row.trained_by == "squared loss"
    assert row.reason == "ends at the pre-activation: norm follows"


def test_an_own_activation_wins_over_what_follows():
    row = rows_of(chain(dense(4, "tanh"), layers.ReLU()))["dense"]
    assert (row.activation, row.trained_by) == ("tanh", "matching loss")


def test_two_followers_choose_nothing():
    inputs = keras.Input((FEATURES,))
    hidden = dense()(inputs)
    outputs = layers.Add()(
        [layers.ReLU()(hidden), layers.Activation("tanh")(hidden)]
    )
    row = rows_of(keras.Model(inputs, outputs))["dense"]
    assert (row.activation, row.trained_by) == ("linear", "matching loss")


def test_sequential_and_nested_models_show_it():
    inner = keras.Sequential([keras.Input((FEATURES,)), dense(), layers.ReLU()])
    assert rows_of(inner)["dense"].activation.startswith("ReLU (")
    [row] = coverage(chain(inner))
    assert row.activation.startswith("ReLU (")


def test_a_loss_along_another_axis_is_not_of_these_logits():
    inputs = keras.Input((4, FEATURES))
    model = keras_locoprop.Model(inputs, dense(CLASSES)(inputs))
    for axis, activation in ((-1, "softmax (of the loss)"), (1, "linear")):
        loss = losses.SparseCategoricalCrossentropy(True, axis=axis)
        model.compile(LocoProp(), loss)
        assert rows_of(model)["dense"].activation == activation
    flat = chain(dense(CLASSES))
    flat.compile(LocoProp(), loss)
    assert rows_of(flat)["dense"].activation == "softmax (of the loss)"


LOGITS = {
    "sigmoid": losses.BinaryCrossentropy(from_logits=True),
    "softmax": losses.CategoricalCrossentropy(from_logits=True),
    "softmax_of_labels": losses.SparseCategoricalCrossentropy(from_logits=True),
}


@pytest.mark.parametrize("name", LOGITS)
def test_logits_take_the_activation_of_the_training_loss(name):
    model = chain(dense())
    assert rows_of(model)["dense"].activation == "linear"
    model.compile(optimizer=LocoProp(), loss=LOGITS[name])
    row = rows_of(model)["dense"]
    assert row.activation == f"{name.split('_')[0]} (of the loss)"
    assert row.trained_by == "matching loss"


def test_logits_train_as_probabilities_do(data):
    probabilities = chain(
        layers.Dense(4, "relu", name="first"), dense(CLASSES, "softmax")
    )
    logits = chain(layers.Dense(4, "relu", name="first"), dense(CLASSES))
    weights = probabilities.get_weights()
    for one, other in zip(
        trained(probabilities, data, weights),
        trained(logits, data, weights, LOGITS["softmax_of_labels"]),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("as_dict", [True, False])
def test_each_output_has_its_own_loss(as_dict):
    inputs = keras.Input((FEATURES,))
    model = keras_locoprop.Model(
        inputs,
        [layers.Dense(2, name="first")(inputs), dense(CLASSES)(inputs)],
    )
    of_outputs = {"first": "mse", "dense": LOGITS["softmax"]}
    model.compile(
        optimizer=LocoProp(),
        loss=of_outputs if as_dict else list(of_outputs.values()),
    )
    assert rows_of(model)["first"].activation == "linear"
    assert rows_of(model)["dense"].activation == "softmax (of the loss)"


def test_a_dict_of_outputs_has_losses_by_its_keys():
    inputs = keras.Input((FEATURES,))
    model = keras_locoprop.Model(
        inputs,
        {
            "z": layers.Dense(2, name="first")(inputs),
            "a": dense(CLASSES)(inputs),
        },
    )
    model.compile(LocoProp(), loss={"z": "mse", "a": LOGITS["softmax"]})
    assert rows_of(model)["first"].activation == "linear"
    assert rows_of(model)["dense"].activation == "softmax (of the loss)"


def test_a_cast_behind_the_logits_changes_nothing():
    model = chain(dense(), layers.Activation("linear", dtype="float32"))
    model.compile(optimizer=LocoProp(), loss=LOGITS["sigmoid"])
    assert rows_of(model)["dense"].activation == "sigmoid (of the loss)"


def test_variant_squared_squares_these_too():
    model = chain(dense(), layers.ReLU())
    model.compile(optimizer=LocoProp(variant="squared"), loss="mse")
    assert rows_of(model)["dense"].trained_by == "squared loss"


class Opaque(keras_locoprop.Model):
    """As models are written today, with nothing to see in a graph."""

    def __init__(self):
        super().__init__()
        self.first = layers.Dense(4, name="first")
        self.rectifier = layers.ReLU()
        self.second = layers.Dense(4, name="second")
        self.norm = layers.BatchNormalization(name="norm")
        self.third = layers.Dense(4, name="third")
        self.fourth = layers.Dense(CLASSES, name="fourth")

    def call(self, inputs, training=False):
        hidden = self.rectifier(self.first(inputs))
        hidden = self.norm(self.second(hidden), training=training)
        return self.fourth(keras.ops.tanh(self.third(hidden)))


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_a_subclassed_model_is_seen_through_at_its_first_batch(
    run_eagerly, data
):
    model = Opaque()
    model.compile(
        LocoProp(), LOGITS["softmax_of_labels"], run_eagerly=run_eagerly
    )
    model.train_on_batch(*data)
    rows = rows_of(model)
    assert rows["first"].activation.startswith("relu") or rows[
        "first"
    ].activation.startswith("ReLU")
    assert rows["second"].reason.endswith("norm follows")
    # What no layer does is not seen.
    assert rows["third"].activation == "linear"
    assert rows["fourth"].activation == "softmax (of the loss)"


def test_a_subclassed_model_trains_as_its_graph_does(data):
    """From the first batch on."""
    inputs = keras.Input((FEATURES,))

    class Subclassed(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.activation = layers.Dense(4), layers.ELU()
            self.logits = dense(CLASSES)

        def call(self, inputs):
            return self.logits(self.activation(self.hidden(inputs)))

    opaque = Subclassed()
    opaque(np.zeros((1, FEATURES), "float32"))
    parts = layers.Dense(4), layers.ELU(), dense(CLASSES)
    outputs = parts[2](parts[1](parts[0](inputs)))
    graph = keras_locoprop.Model(inputs, outputs)
    weights = graph.get_weights()
    for one, other in zip(
        trained(graph, data, weights, LOGITS["softmax_of_labels"]),
        trained(opaque, data, weights, LOGITS["softmax_of_labels"]),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


NESTED = {
    "nested": (["mse", {"b": LOGITS["softmax"]}], ["mse", LOGITS["softmax"]]),
    "too few": (["mse"], [None, None]),
}


@pytest.mark.parametrize("case", NESTED)
def test_losses_that_are_nested_or_too_few(case):
    inputs = keras.Input((FEATURES,))
    first, second = layers.Dense(2)(inputs), dense(CLASSES)(inputs)
    model = keras_locoprop.Model(inputs, [first, {"b": second}])
    loss, expected = NESTED[case]
    model.compile(LocoProp(), loss=loss)
    assert losses_of_outputs(model, 2) == expected


def test_an_automatic_step_on_nested_losses(data):
    inputs = keras.Input((FEATURES,))
    first, second = layers.Dense(2)(inputs), dense(CLASSES, "softmax")(inputs)
    model = keras_locoprop.Model(inputs, [first, {"b": second}])
    model.compile(
        LocoProp("auto"), ["mse", {"b": "sparse_categorical_crossentropy"}]
    )
    x, labels = data
    targets = [np.ones((EXAMPLES, 2)), {"b": labels}]
    losses = [model.train_on_batch(x, targets) for _ in range(5)]
    assert losses[-1] < losses[0]


class Unhashable:
    __hash__ = None

    def __eq__(self, other):
        return self is other

    def __call__(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred))


@pytest.mark.parametrize("rate", [None, "auto"])
@pytest.mark.parametrize("loss", [Unhashable(), "crossentropy"])
def test_losses_of_other_kinds_have_no_activation(loss, rate):
    model = chain(dense(CLASSES))
    model.compile(LocoProp(rate), loss)
    assert rows_of(model)["dense"].activation == "linear"
    x = np.random.normal(size=(EXAMPLES, FEATURES))
    model.train_on_batch(x, np.eye(CLASSES)[np.argmax(x[:, :CLASSES], -1)])


def test_a_subclassed_model_with_a_loss_for_one_of_its_outputs(data):
    class TwoHeads(keras_locoprop.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(2), layers.Dense(CLASSES, "softmax")

        def call(self, inputs):
            return {"a": self.a(inputs), "b": self.b(inputs)}

    model = TwoHeads()
    model.compile(
        LocoProp("auto"), loss={"b": "sparse_categorical_crossentropy"}
    )
    x, labels = data
    losses = [model.train_on_batch(x, {"b": labels}) for _ in range(3)]
    assert losses[-1] < losses[0]
