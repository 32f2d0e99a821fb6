"""
Title: Train an autoencoder with LocoProp
Author: The keras_locoprop authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: LocoProp and Adam on the paper's autoencoder, from equal weights.
Accelerator: None
"""

"""
## Introduction

Adam sees one gradient per weight and rescales it. Second-order methods see more
and need far fewer steps, but pay for it with large matrix inverses.

[LocoProp](https://arxiv.org/abs/2106.06199) gets a similar effect from cheap
parts. For each batch, one forward and one backward pass give every layer a
*target* for its own output: where the gradient would like that output to be.
Each layer then solves its own small problem, on its own inputs, with several
steps of an ordinary first-order optimizer. The problems do not depend on one
another.

In Keras, that takes two changes: `keras_locoprop.Sequential` in place of
`keras.Sequential`, and `keras_locoprop.LocoProp()` as the optimizer. `compile`,
`fit`, `evaluate` and `save` stay as they are.

Here LocoProp and Adam, neither of them tuned, train the deep autoencoder of the
paper on handwritten digits. It squeezes 784 pixels through 30 numbers, and has
long been a benchmark for optimizers because simple ones make slow progress on
it.
"""

"""
## Setup
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tempfile
import time

import digits
import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_locoprop

"""
## Settings

The 10,000 real digits that come with the repository are the default, so nothing
is fetched. For all 70,000, set `DOWNLOAD = True` where there is a network, or
give `DATA_DIR`: a folder of the original idx files, or a `data_dir` of
TensorFlow Datasets.
"""

DATA_DIR = None
DOWNLOAD = False
EXAMPLES = None
EPOCHS = 20
BATCH_SIZE = 500
SEED = 1
OUTPUT = "quickstart.png"

# <command line>
import argparse

parser = argparse.ArgumentParser(
    description="Trains an autoencoder on digits with LocoProp and with Adam.",
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
)
parser.add_argument(
    "--data-dir",
    default=DATA_DIR,
    help="a folder of original idx files, or a data_dir of TensorFlow Datasets",
)
parser.add_argument(
    "--download",
    action="store_true",
    help="let TensorFlow Datasets fetch all 70,000 digits where missing",
)
parser.add_argument(
    "--examples",
    type=int,
    default=EXAMPLES,
    help="train on so many only",
)
parser.add_argument(
    "--epochs", type=int, default=EPOCHS, help="passes over the data"
)
parser.add_argument(
    "--batch-size", type=int, default=BATCH_SIZE, help="per step"
)
parser.add_argument("--output", default=OUTPUT, help="the picture to write")
arguments = parser.parse_args()

DATA_DIR, DOWNLOAD = arguments.data_dir, arguments.download
EXAMPLES, EPOCHS = arguments.examples, arguments.epochs
BATCH_SIZE, OUTPUT = arguments.batch_size, arguments.output
# </command line>

"""
## Data
"""

x_train, x_test = digits.load_digits(DATA_DIR, DOWNLOAD)
x_train = x_train[:EXAMPLES]
BATCH_SIZE = min(BATCH_SIZE, len(x_train))
# A smaller last batch would be compiled on its own, amid the timing.
x_train = x_train[: len(x_train) // BATCH_SIZE * BATCH_SIZE]
print(f"{len(x_train)} digits to train on, {len(x_test)} to test on")

"""
## Model and loss

The function takes the class, so that both models are built by the same code.
The loss is the cross-entropy of each pixel, summed over the pixels of a digit,
and averaged by Keras over the batch. Registered, it is found again by
`load_model`.
"""


def autoencoder(sequential):
    def tanh(units):
        return keras.layers.Dense(units, activation="tanh")

    return sequential(
        [
            keras.Input((784,)),
            *map(tanh, (1000, 500, 250)),
            keras.layers.Dense(30, name="code"),
            *map(tanh, (250, 500, 1000)),
            keras.layers.Dense(784, activation="sigmoid", name="pixels"),
        ]
    )


@keras.saving.register_keras_serializable("quickstart")
def pixel_cross_entropy(y_true, y_pred):
    return keras.ops.sum(keras.ops.binary_crossentropy(y_true, y_pred), axis=-1)


keras.utils.set_random_seed(SEED)
models = {
    "LocoProp": autoencoder(keras_locoprop.Sequential),
    "Adam": autoencoder(keras.Sequential),
}
models["Adam"].set_weights(models["LocoProp"].get_weights())

models["LocoProp"].compile(
    optimizer=keras_locoprop.LocoProp(), loss=pixel_cross_entropy
)
models["Adam"].compile(
    optimizer=keras.optimizers.Adam(1e-3), loss=pixel_cross_entropy
)

"""
`coverage` says which layer trains by which local problem.
"""

print(keras_locoprop.coverage(models["LocoProp"]))

"""
## Training

The clock runs while batches are trained and stands still while the test digits
are evaluated. Nor does it count the first step, which is compiled on most
backends; that is printed on its own. The same seed before each `fit` gives both
the same order of batches.
"""


class Clock(keras.callbacks.Callback):
    """Records the training seconds at the end of every epoch."""

    def __init__(self):
        super().__init__()
        self.first_step = None
        self.seconds = []
        self.total = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        if self.first_step is None:
            self.first_step = time.perf_counter() - self.start
            self.start = time.perf_counter()

    def on_test_begin(self, logs=None):
        self.total += time.perf_counter() - self.start
        self.seconds.append(self.total)


losses, test_losses, clocks = {}, {}, {}
for name, model in models.items():
    print(f"\n{name}")
    keras.utils.set_random_seed(SEED)
    clocks[name] = Clock()
    history = model.fit(
        x_train,
        x_train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=(x_test, x_test),
        validation_batch_size=BATCH_SIZE,
        callbacks=[clocks[name]],
    )
    losses[name] = history.history["loss"]
    test_losses[name] = history.history["val_loss"]

"""
## Save and load

A saved model holds the state of the optimizer too: `loaded.fit` goes on where
training stopped.
"""

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "autoencoder.keras")
    models["LocoProp"].save(path)
    loaded = keras.models.load_model(path)

steps = int(loaded.optimizer.iterations)
print(f"\nLoaded: {type(loaded).__name__}, after {steps} steps")

"""
## Results

The train loss is measured once more, with the final weights: the one in the
progress bar is a mean over the epoch, during which the weights change.
"""

columns = ("train loss", "test loss", "seconds", "first step")
print("\n" + " " * 10 + "".join(f"{column:>12}" for column in columns))
for name, model in models.items():
    cells = (
        model.evaluate(x_train, x_train, batch_size=BATCH_SIZE, verbose=0),
        test_losses[name][-1],
        clocks[name].seconds[-1],
        clocks[name].first_step,
    )
    print(f"{name:10}" + "".join(f"{cell:12.1f}" for cell in cells))
print(
    f"Losses per digit in nats, after {EPOCHS} epochs, on "
    f"{keras.backend.backend()}. Seconds of\n"
    "training, without evaluation and without the first step, which compiles."
)

"""
The picture shows the losses against epochs and against seconds, and what is
left of ten test digits after they went through the 30 numbers of the code.
"""

COLORS = {"LocoProp": "#c8102e", "Adam": "#2f6db3"}
TEST_LINE = {"linestyle": "-", "linewidth": 2}
TRAIN_LINE = {"linestyle": "--", "linewidth": 1.5, "alpha": 0.6}


def draw_losses(axes, horizontal, label):
    for name, color in COLORS.items():
        axes.plot(horizontal[name], losses[name], **TRAIN_LINE, color=color)
        axes.plot(horizontal[name], test_losses[name], **TEST_LINE, color=color)
    axes.set_xlabel(label)
    axes.set_xlim(left=0)
    # The first epoch begins at random weights; its mean would flatten the rest.
    axes.set_ylim(top=1.05 * max(curve[0] for curve in test_losses.values()))
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)


def draw_digits(axes, rows):
    pictures = [np.hstack(row.reshape(-1, 28, 28)) for row in rows.values()]
    axes.imshow(np.vstack(pictures), cmap="gray_r", vmin=0, vmax=1)
    axes.set_yticks(28 * np.arange(len(rows)) + 14, rows, fontsize=11)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for label in axes.get_yticklabels():
        label.set_color(COLORS.get(label.get_text(), "black"))


figure = plt.figure(figsize=(9, 6.3), dpi=200, layout="constrained")
figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
curves, pictures = figure.subfigures(2, 1, height_ratios=[3.6, 2.7])
by_epochs, by_seconds = curves.subplots(1, 2, sharey=True)
epochs = np.arange(1, EPOCHS + 1)
draw_losses(by_epochs, dict.fromkeys(models, epochs), "epochs")
draw_losses(
    by_seconds,
    {name: clock.seconds for name, clock in clocks.items()},
    "training time (seconds)",
)
by_epochs.set_ylabel("loss per digit (nats)")
by_epochs.xaxis.get_major_locator().set_params(integer=True)
curves.legend(
    [
        plt.Line2D([], [], **line, color=color)
        for color in COLORS.values()
        for line in (TEST_LINE, TRAIN_LINE)
    ],
    [f"{name}, {part}" for name in COLORS for part in ("test", "train")],
    loc="outside upper center",
    ncols=4,
    frameon=False,
    handlelength=3,
)
rows = {"original": x_test[:10]}
for name, model in models.items():
    rows[name] = model.predict(x_test[:10], verbose=0)
draw_digits(pictures.subplots(), rows)
figure.savefig(OUTPUT)
print(f"The picture is in {OUTPUT}")
