"""Training a model by LocoProp and its twin by SGD, and comparing them."""

import keras
import numpy as np

import keras_locoprop

# Binary fractions, so that no rounding of either can be seen.
LEARNING_RATE = 0.5
ACTIVATION_LEARNING_RATE = 0.25
RATE = LEARNING_RATE * ACTIVATION_LEARNING_RATE
# The last of three batches is shorter than the others.
EXAMPLES = 27
BATCH_SIZE = 10


def make_locoprop(variant):
    return keras_locoprop.LocoProp(
        learning_rate=LEARNING_RATE,
        activation_learning_rate=ACTIVATION_LEARNING_RATE,
        variant=variant,
        gradient_scaling="absolute",
        learning_rate_scaling="absolute",
        inner_steps=1,
        inner_batch_size="all",
        inner_optimizer=keras.optimizers.SGD(),
        fallback_optimizer=keras.optimizers.SGD(RATE),
    )


def random_arrays(tensors, seed):
    """Values in (0, 1), which every loss here accepts as targets."""
    generator = np.random.default_rng(seed)
    arrays = [
        generator.uniform(size=(EXAMPLES, *tensor.shape[1:]))
        for tensor in keras.tree.flatten(tensors)
    ]
    return arrays if len(arrays) > 1 else arrays[0]


def fit_once(model, optimizer, x, y, compile_options, fit_options):
    model.compile(optimizer=optimizer, **compile_options)
    return model.fit(
        x, y, batch_size=BATCH_SIZE, shuffle=False, verbose=0, **fit_options
    ).history


def assert_equivalent(
    model, stock, variant, x=None, y=None, compiled=None, **fit_options
):
    """Trains `model` by LocoProp and its twin `stock` by SGD, and compares."""
    x = random_arrays(stock.inputs, seed=1) if x is None else x
    y = random_arrays(stock.outputs, seed=2) if y is None else y
    compiled = {"loss": "mean_squared_error"} | (compiled or {})
    # Some layers are built by nothing but a call.
    for either in (model, stock):
        either(x)
    # Biases away from zero, where a regularizer could hide.
    generator = np.random.default_rng(3)
    start = [
        weight + generator.uniform(0.0, 0.2, size=weight.shape)
        for weight in stock.get_weights()
    ]
    for either in (model, stock):
        either.set_weights(start)
    sgd = keras.optimizers.SGD(RATE)
    expected_history = fit_once(stock, sgd, x, y, compiled, fit_options)
    history = fit_once(
        model, make_locoprop(variant), x, y, compiled, fit_options
    )

    expected_weights = stock.get_weights()
    for actual, expected in zip(
        model.get_weights(), expected_weights, strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-11)
    moved = zip(expected_weights, start, strict=True)
    assert max(np.abs(new - old).max() for new, old in moved) > 1e-3
    assert history.keys() == expected_history.keys()
    for key, expected in expected_history.items():
        np.testing.assert_allclose(history[key], expected, rtol=1e-9)


def own(inputs, outputs):
    return keras_locoprop.Model(inputs, outputs)


def prepared(inputs, outputs):
    return keras_locoprop.prepare(keras.Model(inputs, outputs))
