import keras
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop import coverage
from keras_locoprop.local_layers import groups_by_weights
from keras_locoprop.plan import make_plan

pytestmark = pytest.mark.backends


class Block(layers.Layer):
    """A layer that holds others and a weight of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(4, "relu", name="inside")
        self.scale = self.add_weight(shape=(), name="scale")

    def call(self, inputs):
        return self.scale * self.dense(inputs)


def trained_by(model):
    return {row.layer: row.trained_by for row in coverage(model)}


def reason(model, name):
    [row] = [row for row in coverage(model) if row.layer == name]
    return row.reason


def test_rows_of_a_sequential_model():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, "tanh", name="smooth"),
            layers.Dense(4, "gelu", name="bumpy"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5),
            layers.Dense(2, name="output"),
        ]
    )
    smooth, bumpy, norm, output = coverage(model)
    assert smooth == ("smooth", "Dense", "tanh", "matching loss", "", 16, 1)
    assert bumpy.trained_by == "squared loss"
    assert "gelu is not monotone" in bumpy.reason
    assert norm.trained_by == "fallback"
    assert "BatchNormalization" in norm.reason
    assert norm.weights == 8
    assert output.activation == "linear"


def test_rows_of_an_example():
    inputs = keras.Input((6, 6, 3))
    hidden = layers.Conv2D(4, 3, strides=2, name="positions")(inputs)
    hidden = layers.Reshape((4, 4))(hidden)
    hidden = layers.EinsumDense("bpc,chd->bphd", (4, 2, 3), name="heads")(
        hidden
    )
    model = keras.Model(inputs, layers.BatchNormalization(name="norm")(hidden))
    rows = {row.layer: row.rows for row in coverage(model)}
    assert rows == {"positions": 4, "heads": 4, "norm": ""}


def test_prints_as_a_table():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="only")])
    header, rule, row = str(coverage(model)).splitlines()
    assert header.split("  ")[0] == "layer"
    assert set(rule) == {"-", " "}
    assert row.split() == [
        "only",
        "Dense",
        "linear",
        "matching",
        "loss",
        "8",
        "1",
    ]
    assert repr(coverage(model)) == str(coverage(model))


def test_nested_models_and_layers_show_their_path():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="deep")], name="inner"
    )
    inputs = keras.Input((3,))
    hidden = Block(name="block")(inputs)
    model = keras.Model(inputs, inner(hidden))
    assert trained_by(model) == {
        "block": "fallback",
        "block/inside": "matching loss",
        "inner/deep": "matching loss",
    }
    assert sum(row.weights for row in coverage(model)) == model.count_params()


def test_frozen_layers_do_not_appear():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, name="frozen", trainable=False),
            layers.Dense(2, name="output"),
        ]
    )
    assert list(trained_by(model)) == ["output"]


def test_layers_in_a_loop_go_to_the_fallback():
    inputs = keras.Input((6, 3))
    repeated = keras.Sequential([layers.Dense(4, name="repeated")])
    hidden = layers.TimeDistributed(repeated)(inputs)
    model = keras.Model(inputs, layers.LSTM(2, name="recurrent")(hidden))
    assert set(trained_by(model).values()) == {"fallback"}


def test_a_time_distributed_layer_stands_for_what_it_wraps():
    inputs = keras.Input((6, 3))
    wrapper = layers.TimeDistributed(layers.Dense(4, "tanh"), name="steps")
    model = keras.Model(inputs, wrapper(inputs))
    assert [(row.layer, row.activation) for row in coverage(model)] == [
        ("steps", "tanh")
    ]
    assert trained_by(model) == {"steps": "matching loss"}


def tied_layers():
    first, second = layers.Dense(3, name="first"), layers.Dense(3, name="tied")
    first.build((None, 3))
    second._kernel, second.bias = first._kernel, first.bias
    second.built = True
    inputs = keras.Input((3,))
    return keras_locoprop.Model(inputs, second(first(inputs)))


def test_tied_weights_have_one_problem_of_both_layers():
    model = tied_layers()
    assert set(trained_by(model).values()) == {"matching loss"}
    groups = groups_by_weights(make_plan(model).local_layers)
    assert [[local.name for local in group] for group in groups] == [
        ["first", "tied"]
    ]


def test_tied_weights_are_not_divided_among_solvers():
    model = tied_layers()
    model.compile(optimizer=LocoProp(exclude=["tied"]), loss="mse")
    assert set(trained_by(model).values()) == {"fallback"}
    assert reason(model, "tied") == "excluded"
    assert "shares a weight" in reason(model, "first")


def test_a_subclass_of_dense_goes_to_the_fallback():
    class Own(layers.Dense):
        pass

    model = keras.Sequential([keras.Input((3,)), Own(2, name="own")])
    assert reason(model, "own") == "Own layers have no local problem"


def test_an_activation_of_ones_own():
    def bent(z):
        return z + 0.5 * keras.ops.tanh(z)

    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, bent)])
    [row] = coverage(model)
    assert row.trained_by == "squared loss"
    assert row.reason == "bent is unregistered: no matching loss"
    keras_locoprop.register_matching_loss(
        bent,
        lambda z: 0.5 * z**2 + 0.5 * (keras.ops.softplus(2.0 * z) - z),
    )
    [row] = coverage(model)
    assert row.trained_by == "matching loss"


@pytest.mark.parametrize(
    "exclude", [["output"], ["out.*"], ["inner/output"], ["nothing|output"]]
)
def test_exclude(exclude):
    inner = keras.Sequential(
        [layers.Dense(4, name="hidden"), layers.Dense(2, name="output")],
        name="inner",
    )
    model = keras.Sequential([keras.Input((3,)), inner])
    model.compile(LocoProp(exclude=exclude), "mse")
    assert trained_by(model)["inner/output"] == "fallback"
    assert trained_by(model)["inner/hidden"] == "matching loss"
    assert reason(model, "inner/output") == "excluded"


@pytest.mark.parametrize("exclude", [["block"], ["inner"], ["outer/inner"]])
def test_exclude_takes_what_is_inside_along(exclude):
    inner = keras.Sequential([layers.Dense(4, name="deep")], name="inner")
    model = keras.Sequential(
        [
            keras.Input((4,)),
            Block(name="block"),
            keras.Sequential([inner], name="outer"),
        ]
    )
    model.compile(LocoProp(exclude=exclude), "mse")
    reasons = {row.layer: row.reason for row in coverage(model)}
    of_block = "excluded" if exclude == ["block"] else ""
    assert reasons["block/inside"] == of_block
    assert reasons["outer/inner/deep"] == ("" if of_block else "excluded")


def test_exclude_does_not_take_the_whole_model():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="dense")], name="net"
    )
    model.compile(LocoProp(exclude=["net"]), "mse")
    with pytest.raises(ValueError, match="`exclude` .*'net'.*dense"):
        coverage(model)


def test_exclude_matches_whole_names():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="dense_10")]
    )
    model.compile(LocoProp(exclude=["dense_1"]), "mse")
    with pytest.raises(ValueError, match="`exclude` .*'dense_1'.*dense_10"):
        coverage(model)


def test_variant_squared():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, "tanh")])
    model.compile(LocoProp(variant="squared"), "mse")
    [row] = coverage(model)
    assert row.trained_by == "squared loss"
    assert row.reason == 'variant="squared"'


def test_unbuilt_model():
    model = keras.Sequential([layers.Dense(2, "tanh", name="later")])
    assert coverage(model) == [
        ("later", "Dense", "tanh", "matching loss", "", 0, "")
    ]


def test_not_a_model():
    with pytest.raises(ValueError, match="`model` must be a `keras.Model`"):
        coverage(layers.Dense(3))
