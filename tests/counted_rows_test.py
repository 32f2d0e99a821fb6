"""Rows that do not count have no influence; what is in them may be anything."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp

pytestmark = pytest.mark.backends

FEATURES, TIME, EXAMPLES = 4, 6, 24


class WithMask(layers.Layer):
    """Masks time steps by a second input, whatever the first one holds."""

    def call(self, inputs):
        return inputs[0]

    def compute_mask(self, inputs, mask=None):
        return keras.ops.not_equal(inputs[1], 0)


def sequence_model(*, mixes_rows=False):
    inputs, mask = keras.Input((TIME, FEATURES)), keras.Input((TIME,))
    hidden = WithMask()([inputs, mask])
    hidden = layers.Dense(5, "tanh")(hidden)
    if mixes_rows:
        hidden = layers.MultiHeadAttention(1, 3)(hidden, hidden)
    hidden = layers.Dense(3, "relu")(hidden)
    outputs = layers.TimeDistributed(layers.Dense(2))(hidden)
    return keras_locoprop.Model([inputs, mask], outputs)


def image_model():
    inputs = keras.Input((TIME, TIME, 1))
    hidden = layers.Conv2D(3, 2, activation="tanh")(inputs)
    hidden = layers.GlobalAveragePooling2D()(hidden)
    return keras_locoprop.Model(inputs, layers.Dense(2)(hidden))


def flat_model():
    return keras_locoprop.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(5, "tanh"), layers.Dense(2)]
    )


def train(make, x, y, sample_weight=None, **arguments):
    keras.utils.set_random_seed(0)
    model = make()
    # Anchors take hold from the second inner step on.
    arguments = {"inner_steps": 5, "inner_batch_size": "all"} | arguments
    model.compile(optimizer=LocoProp(**arguments), loss="mse")
    model.fit(
        x,
        y,
        sample_weight=sample_weight,
        batch_size=8,
        shuffle=False,
        verbose=0,
    )
    return model.get_weights()


def assert_same(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def assert_differ(one, other):
    assert any(
        np.any(left != right) for left, right in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("scaling", ["relative", "absolute"])
@pytest.mark.parametrize(
    ("make", "shape"),
    [(flat_model, (FEATURES,)), (image_model, (TIME, TIME, 1))],
)
def test_examples_of_weight_zero(make, shape, scaling):
    x = np.random.normal(size=(EXAMPLES, *shape)).astype("float32")
    y = np.random.normal(size=(EXAMPLES, 2)).astype("float32")
    weight = np.tile([1.0, 0.0, 2.0, 0.5], EXAMPLES // 4)
    other = np.where(
        weight.reshape(-1, *[1] * len(shape)) == 0, 10.0 * x + 1.0, x
    )
    arguments = {"gradient_scaling": scaling}
    with_x = train(make, x, y, weight, **arguments)
    assert_same(with_x, train(make, other, y, weight, **arguments))
    assert_differ(with_x, train(make, other, y, **arguments))


def test_a_weight_weighs():
    x = np.random.normal(size=(EXAMPLES, FEATURES)).astype("float32")
    y = np.random.normal(size=(EXAMPLES, 2)).astype("float32")
    weight = np.linspace(0.5, 2.0, EXAMPLES)
    assert_differ(train(flat_model, x, y, weight), train(flat_model, x, y))
    # To rounding: without weights the last layer's steps are on a Gram matrix.
    for one, other in zip(
        train(flat_model, x, y, np.ones(EXAMPLES)),
        train(flat_model, x, y),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.fixture
def sequences():
    x = np.random.normal(size=(EXAMPLES, TIME, FEATURES)).astype("float32")
    y = np.random.normal(size=(EXAMPLES, TIME, 2)).astype("float32")
    lengths = np.arange(EXAMPLES) % TIME + 1
    counts = (np.arange(TIME) < lengths[:, None]).astype("float32")
    other = np.where(counts[..., None] == 0, 10.0 * x + 1.0, x)
    return x, other, y, counts


@pytest.mark.parametrize("mixes_rows", [False, True])
def test_masked_time_steps(mixes_rows, sequences):
    x, other, y, mask = sequences
    everything = np.ones_like(mask)

    def run(x, mask):
        return train(
            lambda: sequence_model(mixes_rows=mixes_rows), [x, mask], y
        )

    masked = run(x, mask)
    assert_same(masked, run(other, mask))
    assert_differ(masked, run(other, everything))


def test_masked_time_steps_and_an_automatic_step(sequences):
    x, other, y, mask = sequences
    everything = np.ones_like(mask)

    def run(x, mask):
        return train(
            sequence_model,
            [x, mask],
            y,
            learning_rate="auto",
            inner_batch_size=None,
        )

    masked = run(x, mask)
    assert_same(masked, run(other, mask))
    assert_differ(masked, run(other, everything))


def test_time_steps_of_weight_zero(sequences):
    x, other, y, weight = sequences
    everything = np.ones_like(weight)
    weighted = train(sequence_model, [x, everything], y, weight)
    assert_same(weighted, train(sequence_model, [other, everything], y, weight))


def test_a_time_step_of_weight_zero_counts_where_others_look_at_it(sequences):
    """Attention carries it to time steps that do count."""
    x, other, y, weight = sequences
    everything = np.ones_like(weight)

    def make():
        return sequence_model(mixes_rows=True)

    assert_differ(
        train(make, [x, everything], y, weight),
        train(make, [other, everything], y, weight),
    )


def test_padding_does_not_change_the_targets(sequences):
    """Time steps that are masked out might as well not be there."""
    x, _, y, _ = sequences
    mask = np.ones((EXAMPLES, TIME), "float32")
    mask[:, TIME // 2 :] = 0.0
    sgd = {"inner_optimizer": "sgd"}

    def short_model():
        inputs = keras.Input((TIME // 2, FEATURES))
        hidden = layers.Dense(5, "tanh")(inputs)
        hidden = layers.Dense(3, "relu")(hidden)
        outputs = layers.TimeDistributed(layers.Dense(2))(hidden)
        return keras_locoprop.Model(inputs, outputs)

    padded = train(sequence_model, [x, mask], y, **sgd)
    half = slice(None), slice(TIME // 2)
    short = train(short_model, x[half], y[half], **sgd)
    for left, right in zip(padded, short, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=2e-5)


def test_metrics_leave_out_what_is_masked():
    """As they do for any other optimizer."""
    x = np.repeat([[1, 2, 0, 0, 0, 0]], 16, axis=0)
    y = np.tile([0, 1, 1, 1, 0, 0], (16, 1))[..., None]
    accuracies = []
    for optimizer in ("sgd", LocoProp()):
        keras.utils.set_random_seed(0)
        model = keras_locoprop.Sequential(
            [
                keras.Input((TIME,)),
                layers.Embedding(3, FEATURES, mask_zero=True),
                layers.Dense(2, "softmax"),
            ]
        )
        model.compile(
            optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        accuracies.append(model.train_on_batch(x, y)[1])
    assert accuracies[0] == pytest.approx(accuracies[1])
