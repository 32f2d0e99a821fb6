"""One description of a training run, for the package and for the oracle."""

from dataclasses import dataclass
from dataclasses import field
from typing import Any

import keras
import numpy as np

import keras_locoprop
from tests import oracle
from tests import oracle_functions

FEATURES = 5


@dataclass(frozen=True)
class Run:
    """A network, its loss, and how it is trained.

    `layers` are pairs of units and activation. `inner_optimizer` is a name
    and hyperparameters that Keras and the oracle both know. `sequence` is
    empty, or holds the number of rows of an example.
    """

    layers: tuple
    loss: str = "mean_squared_error"
    inner_optimizer: tuple = ("SGD", {})
    learning_rate: Any = 0.0625
    activation_learning_rate: float = 0.375
    locoprop: dict = field(default_factory=dict)
    layer_options: dict = field(default_factory=dict)
    last_layer_options: dict = field(default_factory=dict)
    compile_options: dict = field(default_factory=dict)
    batch_size: int = 10
    examples: int = 30
    weighted: bool = False
    sequence: tuple = ()


def summed_binary_crossentropy(y, output):
    pixels = keras.ops.binary_crossentropy(y, output)
    return keras.ops.sum(pixels, axis=-1)


def keras_loss(name):
    if name == "summed_binary_crossentropy":
        return summed_binary_crossentropy
    return name


def make_data(run):
    """Returns x, y and sample weights, which are None unless asked for."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(run.examples, *run.sequence, FEATURES))
    outputs = run.layers[-1][0]
    rows = (run.examples, *run.sequence)
    if run.loss == "categorical_crossentropy":
        y = np.eye(outputs)[generator.integers(outputs, size=rows)]
    elif "binary" in run.loss:
        y = generator.uniform(size=(*rows, outputs))
    else:
        y = generator.normal(size=(*rows, outputs))
    weights = generator.uniform(0.2, 3.0, size=run.examples)
    return x, y, weights if run.weighted else None


def locoprop_options(run):
    return {"learning_rate_scaling": "absolute"} | run.locoprop


def make_model(run):
    """The package's side: a compiled model with random biases, too."""
    layer_options = [run.layer_options] * len(run.layers)
    layer_options[-1] = run.layer_options | run.last_layer_options
    model = keras_locoprop.Sequential(
        [keras.Input((*run.sequence, FEATURES))]
        + [
            keras.layers.Dense(
                units,
                activation=activation,
                bias_initializer="random_normal",
                **options,
            )
            for (units, activation), options in zip(
                run.layers, layer_options, strict=True
            )
        ]
    )
    name, hyperparameters = run.inner_optimizer
    optimizer = keras_locoprop.LocoProp(
        learning_rate=run.learning_rate,
        activation_learning_rate=run.activation_learning_rate,
        inner_optimizer=getattr(keras.optimizers, name)(**hyperparameters),
        **locoprop_options(run),
    )
    model.compile(
        optimizer=optimizer, loss=keras_loss(run.loss), **run.compile_options
    )
    return model


def make_oracle(run, model):
    """The oracle's side, starting at the weights that `model` has now."""
    name, hyperparameters = run.inner_optimizer
    return oracle.LocoProp(
        layers=oracle.layers_of(model),
        loss=run.loss,
        optimizer=getattr(oracle_functions, name)(**hyperparameters),
        learning_rate=run.learning_rate,
        activation_learning_rate=run.activation_learning_rate,
        **locoprop_options(run),
    )
