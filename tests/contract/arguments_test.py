"""Keras's own arguments, against what they say, step by step, in NumPy.

A plain twin takes each step from the same weights and with the same slots. How
far it moves stands where a built-in optimizer has the gradient.
"""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp

FEATURES, ROWS, STEPS, RATE = 4, 8, 4, 0.03125
SMALL = {"rtol": 1e-9, "atol": 1e-12}


def make_model(dense_options=None, **arguments):
    model = keras_locoprop.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(5, "tanh", **(dense_options or {})),
            layers.LayerNormalization(),
            layers.Dense(2),
        ]
    )
    # A twin cannot be put where a model is that steps from other weights.
    optimizer = LocoProp(RATE, weight_averaging=0.0, **arguments)
    model.compile(optimizer, "mse", run_eagerly=True)
    return model


def make_batches():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(STEPS, ROWS, FEATURES))
    return list(zip(x, np.tanh(x[..., :2]), strict=True))


class Plain:
    """Weight after weight, minus its displacement."""

    def __call__(self, weights, moved):
        moved = self.limit(moved)
        return [w - m for w, m in zip(weights, moved, strict=True)]

    def limit(self, moved):
        return moved

    def at_the_end(self, weights):
        return weights


class ClipValue(Plain):
    def limit(self, moved):
        return [np.clip(m, -1e-3, 1e-3) for m in moved]


class ClipNorm(Plain):
    def limit(self, moved):
        return [m * min(1.0, 2e-3 / np.linalg.norm(m)) for m in moved]


class GlobalClipNorm(Plain):
    def limit(self, moved):
        norm = np.sqrt(sum(np.sum(m**2) for m in moved))
        return [m * min(1.0, 2e-3 / norm) for m in moved]


class WeightDecay(Plain):
    def __call__(self, weights, moved):
        decayed = [w - 0.5 * RATE * w for w in weights]
        return super().__call__(decayed, moved)


class WeightDecayOfKernels(Plain):
    def __call__(self, weights, moved):
        rates = [0.5 * RATE if w.ndim == 2 else 0.0 for w in weights]
        decayed = [w - r * w for w, r in zip(weights, rates, strict=True)]
        return super().__call__(decayed, moved)


class Accumulation(Plain):
    def __init__(self):
        self.waiting = []

    def __call__(self, weights, moved):
        self.waiting.append(moved)
        if len(self.waiting) < 2:
            return weights
        first, second = self.waiting
        self.waiting = []
        mean = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
        return super().__call__(weights, mean)


class Average(Plain):
    average, batches, overwrites_every = None, 0, None

    def __call__(self, weights, moved):
        weights = super().__call__(weights, moved)
        before = self.average or weights
        self.average = [
            0.75 * a + 0.25 * w for a, w in zip(before, weights, strict=True)
        ]
        self.batches += 1
        overwrites = self.overwrites_every or STEPS + 1
        return weights if self.batches % overwrites else self.average

    def at_the_end(self, weights):
        return self.average


class OverwritingAverage(Average):
    overwrites_every = 3


class UnitNorm(Plain):
    """The constraint of the first kernel, on whole displacements only."""

    def __call__(self, weights, moved):
        kernel, *others = super().__call__(weights, moved)
        norm = np.linalg.norm(kernel, axis=0) + keras.config.epsilon()
        return [kernel / norm, *others]


PROMISES = {
    "plain": (Plain, {}),
    "clipvalue": (ClipValue, {"clipvalue": 1e-3}),
    "clipnorm": (ClipNorm, {"clipnorm": 2e-3}),
    "global_clipnorm": (GlobalClipNorm, {"global_clipnorm": 2e-3}),
    "weight_decay": (WeightDecay, {"weight_decay": 0.5}),
    "exclude_from_weight_decay": (WeightDecayOfKernels, {"weight_decay": 0.5}),
    "gradient_accumulation_steps": (
        Accumulation,
        {"gradient_accumulation_steps": 2},
    ),
    "use_ema": (Average, {"use_ema": True, "ema_momentum": 0.75}),
    "ema_overwrite_frequency": (
        OverwritingAverage,
        {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 3},
    ),
    "loss_scale_factor": (Plain, {"loss_scale_factor": 64.0}),
    "constraint": (
        UnitNorm,
        {"dense_options": {"kernel_constraint": keras.constraints.UnitNorm()}},
    ),
}


@pytest.mark.parametrize("name", PROMISES)
def test_argument_does_what_it_says(name, float64):
    reference_class, arguments = PROMISES[name]
    reference = reference_class()
    model, twin = make_model(**arguments), make_model()
    if name == "exclude_from_weight_decay":
        model.optimizer.exclude_from_weight_decay(
            var_list=[model.layers[1].gamma], var_names=["bias", "beta"]
        )
    expected = model.get_weights()
    batches = make_batches()
    for x, y in batches:
        twin.set_weights(expected)
        twin.train_on_batch(x, y)
        pairs = zip(expected, twin.get_weights(), strict=True)
        expected = reference(expected, [old - new for old, new in pairs])
    x, y = map(np.concatenate, zip(*batches, strict=True))
    model.fit(x, y, batch_size=ROWS, shuffle=False, verbose=0)
    expected = reference.at_the_end(expected)
    for weight, value in zip(model.weights, expected, strict=True):
        np.testing.assert_allclose(weight, value, err_msg=weight.path, **SMALL)


def moved_by(model, x, y):
    before = model.get_weights()
    model.train_on_batch(x, y)
    return [b - w for b, w in zip(before, model.get_weights(), strict=True)]


@pytest.mark.parametrize(
    ("argument", "layer"), [("inner_optimizer", 0), ("fallback_optimizer", 1)]
)
def test_an_optimizer_inside_knows_what_not_to_decay(argument, layer, float64):
    def displacements(weight_decay, kept=()):
        optimizer = keras.optimizers.SGD(0.1, weight_decay=weight_decay)
        optimizer.exclude_from_weight_decay(var_names=list(kept))
        keras.utils.set_random_seed(0)
        model = make_model(inner_steps=1, **{argument: optimizer})
        moved = moved_by(model, *make_batches()[0])
        return moved[2 * layer : 2 * layer + 2]

    plain = displacements(None)
    for kept, decayed in ((0, 1), (1, 0)):
        name = make_model().layers[layer].weights[kept].name
        moved = displacements(0.5, [name])
        np.testing.assert_allclose(moved[kept], plain[kept], **SMALL)
        everything = displacements(0.5)
        np.testing.assert_allclose(moved[decayed], everything[decayed], **SMALL)
    assert np.any(np.abs(everything[0] - plain[0]) > 1e-3)


def test_regularizer_of_a_layer_without_a_local_problem(float64):
    """That of a `Dense` is in tests/oracle_test.py."""

    def displacement(regularizer):
        keras.utils.set_random_seed(0)
        model = keras_locoprop.Sequential(
            [
                keras.Input((FEATURES,)),
                layers.LayerNormalization(gamma_regularizer=regularizer),
                layers.Dense(2),
            ]
        )
        fallback = keras.optimizers.SGD(0.5)
        model.compile(LocoProp(fallback_optimizer=fallback), "mse")
        return moved_by(model, *make_batches()[0])

    plain = displacement(None)
    gamma, *others = displacement(keras.regularizers.L2(0.25))
    # The gradient of 0.25 · gamma² at gamma = 1, at the rate 0.5.
    np.testing.assert_allclose(gamma, plain[0] + 0.25, **SMALL)
    np.testing.assert_allclose(others[-1], plain[-1], **SMALL)


@pytest.mark.parametrize(
    ("learning_rate", "acts"), [(RATE, True), ("auto", False)]
)
def test_regularizers_that_are_not_in_the_loss(learning_rate, acts, float64):
    class Unregularized(keras_locoprop.Sequential):
        def compute_loss(self, x, y, y_pred, sample_weight, training=True):
            return keras.ops.mean(keras.ops.square(y - y_pred))

    def moved(regularizer):
        keras.utils.set_random_seed(0)
        dense = layers.Dense(2, kernel_regularizer=regularizer)
        model = Unregularized([keras.Input((FEATURES,)), dense])
        model.compile(LocoProp(learning_rate), "mse")
        kernel, _ = moved_by(model, *make_batches()[0])
        return kernel

    difference = moved(keras.regularizers.L2(1.0)) - moved(None)
    assert np.any(difference != 0) == acts


def test_activity_regularizer_is_a_part_of_the_loss(float64):
    def displacement(loss, regularizer=None):
        keras.utils.set_random_seed(0)
        model = keras_locoprop.Sequential(
            [
                keras.Input((FEATURES,)),
                layers.Dense(5, "tanh"),
                layers.Dense(2, activity_regularizer=regularizer),
            ]
        )
        model.compile(LocoProp(gradient_scaling="absolute"), loss)
        return moved_by(model, *make_batches()[0])

    def loss_with_penalty(y, output):
        penalty = 0.25 * keras.ops.sum(keras.ops.square(output), axis=-1)
        return keras.losses.mean_squared_error(y, output) + penalty

    regularized = displacement("mse", keras.regularizers.L2(0.25))
    for one, other, plain in zip(
        regularized,
        displacement(loss_with_penalty),
        displacement("mse"),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, **SMALL)
        assert np.any(one != plain)


def test_a_frozen_trunk_is_a_function_of_the_inputs(float64):
    """Training the head on it is training the head on its features."""
    model = make_model()
    trunk, head = model.layers[:2], model.layers[2]
    for layer in trunk:
        layer.trainable = False
    model.compile(model.optimizer, "mse")
    alone = keras_locoprop.Sequential([keras.Input((5,)), layers.Dense(2)])
    alone.set_weights(head.get_weights())
    alone.compile(LocoProp(RATE, weight_averaging=0.0), "mse")
    before = [weight for layer in trunk for weight in layer.get_weights()]
    for x, y in make_batches():
        features = keras.Sequential(trunk)(x)
        model.train_on_batch(x, y)
        alone.train_on_batch(keras.ops.convert_to_numpy(features), y)
    after = [weight for layer in trunk for weight in layer.get_weights()]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    for one, other in zip(head.weights, alone.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, **SMALL)
    assert int(model.optimizer.iterations) == STEPS
