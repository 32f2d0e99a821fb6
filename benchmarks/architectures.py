"""Networks of other kinds than the sweep's: LocoProp beside Adam.

python -m benchmarks.architectures --data-dir DIR
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers

import keras_locoprop
from benchmarks import problems
from benchmarks.records import append_line
from benchmarks.records import versions

RESULTS = Path(__file__).parent / "results" / "architectures.jsonl"
OPTIMIZERS = {
    "Adam, rate 0.001": lambda: keras.optimizers.Adam(1e-3),
    "Adam, rate 0.003": lambda: keras.optimizers.Adam(3e-3),
    "LocoProp": keras_locoprop.LocoProp,
    'LocoProp("auto")': lambda: keras_locoprop.LocoProp("auto"),
}
CLASSES = 10


def convolutional():
    """The convolutional network of Keras's first example, with logits."""
    inputs = hidden = keras.Input((28, 28, 1))
    for filters in (32, 64):
        hidden = layers.Conv2D(filters, 3, activation="relu")(hidden)
        hidden = layers.MaxPooling2D(2)(hidden)
    hidden = layers.Dropout(0.5)(layers.Flatten()(hidden))
    return inputs, layers.Dense(CLASSES)(hidden)


def residual():
    """Residual blocks with batch normalization."""

    def convolution(hidden, filters, size=3, strides=1):
        hidden = layers.Conv2D(
            filters, size, strides=strides, padding="same", use_bias=False
        )(hidden)
        return layers.BatchNormalization(momentum=0.9)(hidden)

    inputs = keras.Input((28, 28, 1))
    hidden = layers.ReLU()(convolution(inputs, 16, strides=2))
    for filters, strides in ((16, 1), (32, 2), (32, 1)):
        branch = layers.ReLU()(convolution(hidden, filters, strides=strides))
        branch = convolution(branch, filters)
        if strides > 1:
            hidden = convolution(hidden, filters, size=1, strides=strides)
        hidden = layers.ReLU()(layers.Add()([branch, hidden]))
    return inputs, layers.Dense(CLASSES)(
        layers.GlobalAveragePooling2D()(hidden)
    )


def transformer():
    """Two transformer blocks; the rows of the image are the tokens."""
    inputs = keras.Input((28, 28, 1))
    hidden = layers.Dense(32)(layers.Reshape((28, 28))(inputs))
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 16)(hidden, hidden)
        hidden = layers.LayerNormalization()(layers.Add()([attended, hidden]))
        fed = layers.Dense(32)(layers.Dense(64, activation="relu")(hidden))
        hidden = layers.LayerNormalization()(layers.Add()([fed, hidden]))
    hidden = layers.GlobalAveragePooling1D()(hidden)
    hidden = layers.Dense(32, activation="relu")(hidden)
    return inputs, layers.Dense(CLASSES)(hidden)


NETWORKS = {
    network.__name__: network
    for network in (convolutional, residual, transformer)
}


def train(network, optimizer, data, epochs, batch_size):
    """Trains one network by one optimizer, from the same weights for all.

    Returns:
        Dict: the train loss of every epoch as `fit` shows it, the accuracy on
        the test set, and the seconds of the last epoch.
    """
    keras.utils.set_random_seed(0)
    model = keras_locoprop.Model(*network())
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    losses, seconds = [], 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        history = model.fit(
            data.x_train, data.y_train, batch_size=batch_size, verbose=0
        )
        seconds = time.perf_counter() - start
        losses += history.history["loss"]
    _, accuracy = model.evaluate(data.x_test, data.y_test, verbose=0)
    return {
        "train_loss": losses,
        "test_accuracy": accuracy,
        "seconds_of_last_epoch": seconds,
    }


def summary(rows):
    """A Markdown table: last train loss and seconds of each run.

    Runs of another size than the default one are left out.
    """
    usual = vars(_parse([]))
    sizes = ("examples", "epochs", "batch_size")
    found = {
        (row["network"], row["optimizer"]): (
            row["train_loss"][-1],
            row["seconds_of_last_epoch"],
        )
        for row in rows
        if all(row[name] == usual[name] for name in sizes)
    }
    header = ["network", *OPTIMIZERS]
    lines = [header, ["---"] * len(header)]
    for network in NETWORKS:
        results = [found[network, name] for name in OPTIMIZERS]
        lowest = min(results)
        cells = [
            f"**{loss:.3f}**, {seconds:.1f} s"
            if (loss, seconds) == lowest
            else f"{loss:.3f}, {seconds:.1f} s"
            for loss, seconds in results
        ]
        lines.append([network, *cells])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main(arguments=None):
    options = _parse(arguments)
    data = problems.load_data(
        problems.CLASSIFIER,
        options.data_dir,
        options.download,
        options.examples,
    )
    data = data._replace(
        x_train=np.reshape(data.x_train, (-1, 28, 28, 1)),
        x_test=np.reshape(data.x_test, (-1, 28, 28, 1)),
    )
    print("| network | optimizer | train loss | test accuracy | s per epoch |")
    print("| --- | --- | --- | --- | --- |")
    for network in options.network or NETWORKS:
        for name, make_optimizer in OPTIMIZERS.items():
            result = train(
                NETWORKS[network],
                make_optimizer(),
                data,
                options.epochs,
                options.batch_size,
            )
            losses = ", ".join(f"{loss:.3f}" for loss in result["train_loss"])
            print(
                f"| {network} | {name} | {losses} "
                f"| {100 * result['test_accuracy']:.1f} % "
                f"| {result['seconds_of_last_epoch']:.1f} |",
                flush=True,
            )
            record = {
                "network": network,
                "optimizer": name,
                "examples": options.examples,
                "epochs": options.epochs,
                "batch_size": options.batch_size,
                **result,
                "versions": versions(),
            }
            append_line(options.results, record)


def _parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data-dir", help="as in benchmarks.sweep")
    add("--download", action="store_true", help="likewise")
    add("--network", nargs="*", choices=list(NETWORKS), help="all of them")
    add("--examples", type=int, default=12_000, help="(default: 12000)")
    add("--epochs", type=int, default=4, help="(default: 4)")
    add("--batch-size", type=int, default=128, help="(default: 128)")
    add("--results", type=Path, default=RESULTS, help="a file of JSON lines")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
