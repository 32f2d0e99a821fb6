"""The table of problems: data, network, batch size, epochs.

A network is a tuple of layers `(kind, *arguments)`, from which
`networks.build` makes a Keras model, `jax_peer` and `torch_peer` the same in
their framework. To add a problem is to add a line to `TASKS`.
"""

from typing import Any
from typing import NamedTuple

import numpy as np

from benchmarks import problems
from benchmarks.comparison import words
from tutorials import digits

CLASSES = 10


class Task(NamedTuple):
    """What is learnt, and how long.

    Attributes:
        title: String.
        source: `"mnist"`, `"fashion_mnist"` or `"words"`.
        input_shape: Tuple of integers.
        layers: Tuple of `(kind, *arguments)`.
        batch_size: Integer.
        tuned_on: String, the problem whose best setting the search begins
            with; `None`: it has a search of its own.
        epochs: Integer, of trials and final runs.
        targets: `"inputs"` or `"labels"`.
    """

    title: str
    source: str
    input_shape: tuple
    layers: tuple
    batch_size: int
    tuned_on: Any = None
    epochs: int = 3
    targets: str = "labels"


def autoencoder(hidden="tanh", repeated=1, widened=1):
    """The layers of the paper's autoencoder, and of its variants."""
    layers = []
    for units, activation in problems.AUTOENCODER.layers:
        if units != problems.AUTOENCODER.inputs:
            units *= widened
        if activation == "tanh":
            activation = hidden
        times = repeated if units == 500 else 1
        layers += [("dense", units, activation)] * times
    return tuple(layers)


def _autoencoder_task(
    title, source="mnist", tuned_on="mnist", epochs=3, **changes
):
    return Task(
        title,
        source,
        (problems.AUTOENCODER.inputs,),
        autoencoder(**changes),
        problems.AUTOENCODER.batch_size,
        tuned_on,
        epochs,
        "inputs",
    )


TASKS = {
    "mnist": _autoencoder_task("MNIST autoencoder", tuned_on=None),
    # Fewer epochs than the first, as every trial takes minutes.
    "fashion": _autoencoder_task(
        "Fashion-MNIST autoencoder", "fashion_mnist", epochs=2
    ),
    "deep": _autoencoder_task("deep MNIST autoencoder", epochs=2, repeated=2),
    "wide": _autoencoder_task("wide MNIST autoencoder", epochs=1, widened=2),
    "relu": _autoencoder_task(
        "MNIST autoencoder with ReLU", epochs=2, hidden="relu"
    ),
    "classifier": Task(
        "Fashion-MNIST classifier",
        "fashion_mnist",
        (problems.CLASSIFIER.inputs,),
        tuple(("dense", *layer) for layer in problems.CLASSIFIER.layers),
        problems.CLASSIFIER.batch_size,
    ),
    "convolutional": Task(
        "Fashion-MNIST convolutional network",
        "fashion_mnist",
        (28, 28, 1),
        (
            ("convolution", 16, 3, "relu"),
            ("pooling", 2),
            ("convolution", 32, 3, "relu"),
            ("pooling", 2),
            ("flatten",),
            ("dense", 64, "relu"),
            ("dense", CLASSES, "softmax"),
        ),
        128,
        "classifier",
    ),
    "transformer": Task(
        "transformer, language of words",
        "words",
        (words.LENGTH,),
        (
            ("embedding", words.SYMBOLS, 64),
            ("positions",),
            ("attention", 4, 16),
            ("feed_forward", 128, "relu"),
            ("attention", 4, 16),
            ("feed_forward", 128, "relu"),
            ("mean",),
            ("dense", len(words.LANGUAGES), "softmax"),
        ),
        128,
        "classifier",
    ),
}


def load(task, data_dir=None, download=False, examples=None):
    """Loads the data of a problem.

    Args:
        task: `Task`.
        data_dir: As in `problems.load_data`; `"shipped"`: in place of all
            images the digits that come with the repository.
        download: As in `problems.load_data`.
        examples: Integer: take only the first so many, for training and for
            testing. Defaults to `None`: all.

    Returns:
        Dict of arrays `x_train`, `y_train`, `x_test`, `y_test`.
    """
    if task.source == "words":
        data = words.load_words()
    elif data_dir == "shipped":
        (x_train, y_train), (x_test, y_test) = digits.load_images()
        data = problems.Data(x_train, y_train, x_test, y_test)
    else:
        like = problems.CLASSIFIER._replace(source=task.source)
        data = problems.load_data(like, data_dir, download, examples)
    arrays = {name: value[:examples] for name, value in data._asdict().items()}
    for part in ("train", "test"):
        x = np.reshape(arrays[f"x_{part}"], (-1, *task.input_shape))
        arrays[f"x_{part}"] = x
        if task.targets == "inputs":
            arrays[f"y_{part}"] = x
    return arrays
