"""The learning problems of the benchmarks: data, network, loss."""

from pathlib import Path
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from tutorials import digits


def pixel_cross_entropy(y_true, y_pred):
    """Binary cross-entropy summed over the pixels of an image."""
    return keras.ops.sum(keras.ops.binary_crossentropy(y_true, y_pred), axis=-1)


class Problem(NamedTuple):
    """A network of dense layers, what it learns and by which loss.

    Attributes:
        name: String.
        source: String, the set of images in TensorFlow Datasets; empty for
            data that are generated.
        inputs: Integer, the number of inputs.
        layers: Tuple of `(units, activation)`.
        targets: `"inputs"`, `"labels"` or `"values"`.
        loss: A loss as `keras.Model.compile` takes it.
        metrics: Tuple of metrics, likewise.
        train_examples: Integer, as many as there are.
        batch_size: Integer.
        epochs: Integer.
    """

    name: str
    source: str
    inputs: int
    layers: tuple
    targets: str
    loss: Any
    metrics: tuple
    train_examples: int
    batch_size: int
    epochs: int

    @property
    def kernel_sizes(self):
        """The number of entries of each layer's kernel."""
        units = [self.inputs] + [units for units, _ in self.layers]
        return [a * b for a, b in zip(units, units[1:])]


class Data(NamedTuple):
    """Training and test examples, as NumPy arrays."""

    x_train: Any
    y_train: Any
    x_test: Any
    y_test: Any


AUTOENCODER = Problem(
    name="autoencoder",
    source="mnist",
    inputs=784,
    layers=(
        (1000, "tanh"),
        (500, "tanh"),
        (250, "tanh"),
        (30, "linear"),
        (250, "tanh"),
        (500, "tanh"),
        (1000, "tanh"),
        (784, "sigmoid"),
    ),
    targets="inputs",
    loss=pixel_cross_entropy,
    metrics=(),
    train_examples=60_000,
    batch_size=1000,
    epochs=5,
)

CLASSIFIER = Problem(
    name="classifier",
    source="fashion_mnist",
    inputs=784,
    layers=((512, "relu"), (512, "relu"), (512, "relu"), (10, "softmax")),
    targets="labels",
    loss="sparse_categorical_crossentropy",
    metrics=("accuracy",),
    train_examples=60_000,
    batch_size=128,
    epochs=5,
)

REGRESSION = Problem(
    name="regression",
    source="",
    inputs=8,
    layers=((64, "relu"), (64, "relu"), (1, "linear")),
    targets="values",
    loss="mean_squared_error",
    metrics=(),
    train_examples=10_000,
    batch_size=128,
    epochs=10,
)

PROBLEMS = {
    problem.name: problem for problem in (AUTOENCODER, CLASSIFIER, REGRESSION)
}


def make_model(problem, sequential=keras.Sequential, seed=0):
    """Builds the network of a problem; a seed determines its weights.

    Args:
        problem: `Problem`.
        sequential: `keras.Sequential`, or a subclass of it.
        seed: Integer.

    Returns:
        The model, not compiled.
    """
    keras.utils.set_random_seed(seed)
    return sequential(
        [keras.Input((problem.inputs,))]
        + [
            keras.layers.Dense(units, activation=activation)
            for units, activation in problem.layers
        ]
    )


def load_data(problem, data_dir=None, download=False, examples=None):
    """Loads the examples of a problem.

    Args:
        problem: `Problem`.
        data_dir: Folder that holds `mnist` and `fashion-mnist` with the
            original idx files, or a `data_dir` of TensorFlow Datasets.
        download: Boolean: whether TensorFlow Datasets may fetch what is not
            there.
        examples: Integer: take only the first so many training examples.
            Defaults to `None`: all of them.

    Returns:
        `Data`.

    Raises:
        FileNotFoundError: If the images are not there and may not be fetched.
        ValueError: If there are fewer training examples than there should be.
    """
    if examples is None:
        examples = problem.train_examples
    if problem.source:
        data = _load_images(problem, data_dir, download)
    else:
        data = _generate_regression(problem.train_examples)
    if len(data.x_train) < examples:
        raise ValueError(
            f"`data_dir` must hold at least {examples} training examples for "
            f"the {problem.name}. Received: {len(data.x_train)} examples"
        )
    return data._replace(
        x_train=data.x_train[:examples], y_train=data.y_train[:examples]
    )


def random_batch(problem, size):
    """Random numbers of the shapes of a batch, where only time matters."""
    generator = np.random.default_rng(0)
    x = generator.random((size, problem.inputs), "float32")
    units, _ = problem.layers[-1]
    if problem.targets == "inputs":
        return x, x
    if problem.targets == "labels":
        return x, generator.integers(units, size=size)
    return x, generator.standard_normal((size, units), "float32")


def _load_images(problem, data_dir, download):
    if data_dir is None and not download:
        raise FileNotFoundError(
            f"The {problem.name} needs all images of {problem.source!r}: pass "
            "`data_dir`, or `download=True` where there is a network. "
            f"Received: data_dir={data_dir}, download={download}"
        )
    if data_dir is not None:
        folder = Path(data_dir) / problem.source.replace("_", "-")
        if (folder / "train-images-idx3-ubyte.gz").exists():
            data_dir = folder
    (x_train, y_train), (x_test, y_test) = digits.load_images(
        problem.source, data_dir, download
    )
    if problem.targets == "inputs":
        return Data(x_train, x_train, x_test, x_test)
    return Data(x_train, y_train, x_test, y_test)


def _generate_regression(train_examples, test_examples=2_000):
    """`y = sin(2 x₀) + x₁ x₂ + |x₃| / 2 + noise`; four inputs are idle."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((train_examples + test_examples, 8))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + np.abs(x[:, 3]) / 2
    y = y + 0.1 * generator.standard_normal(len(x))
    x, y = x.astype("float32"), y.astype("float32")[:, None]
    (x_train, x_test), (y_train, y_test) = (
        np.split(array, [train_examples]) for array in (x, y)
    )
    return Data(x_train, y_train, x_test, y_test)
