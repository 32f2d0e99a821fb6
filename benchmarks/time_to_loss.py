"""Seconds and epochs that optimizers take to a training loss.

python -m benchmarks.time_to_loss --data-dir DIR [--kfac-python PYTHON]

Trains the autoencoder on all 60,000 digits, from the same initial weights and
in the same order, and evaluates it on all of them every half epoch; evaluation
and compilation are not counted. K-FAC is that of kfac-jax, run by an
interpreter that has it; it is left out where none is given.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import keras_locoprop
from benchmarks import problems
from benchmarks.records import append_line
from benchmarks.records import read_lines
from benchmarks.records import versions
from keras_locoprop import LocoProp

RESULTS = Path(__file__).parent / "results" / "time_to_loss.jsonl"
THRESHOLDS = (120, 80, 70, 65, 60, 58)
PARTS = 2
EVALUATION_BATCH_SIZE = 2000

# Name: optimizer, batch size, epochs.
CONFIGURATIONS = {
    "Adam": (lambda: keras.optimizers.Adam(1e-3), 1000, 6),
    "LocoProp.paper()": (LocoProp.paper, 1000, 4),
    "LocoProp()": (LocoProp, 1000, 6),
    'LocoProp("auto")': (lambda: LocoProp("auto"), 500, 4),
    'LocoProp("auto"), B=1000': (lambda: LocoProp("auto"), 1000, 4),
    'LocoProp("auto", output_scaling="unit")': (
        lambda: LocoProp("auto", output_scaling="unit"),
        500,
        4,
    ),
}
KFAC = {
    f"kfac-jax, damping {damping:g}, B={batch_size}": (damping, batch_size)
    for batch_size in (500, 1000)
    for damping in (0.1, 1.0, 10.0)
}
KFAC_EPOCHS = 4


def train(model, optimizer, data, batch_size, epochs, seed):
    """Trains a model, and yields a record after each part of an epoch."""
    model.compile(optimizer, "binary_crossentropy", loss_weights=784.0)
    # Compiles; the weights are put back, and the state is that of step one.
    initial = model.get_weights()
    model.make_train_function()
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    state = [keras.ops.convert_to_numpy(v) for v in optimizer.variables]
    model.fit(
        data.x_train[:batch_size],
        data.x_train[:batch_size],
        batch_size=batch_size,
        verbose=0,
    )
    model.set_weights(initial)
    for variable, value in zip(optimizer.variables, state, strict=True):
        variable.assign(value)
    seconds = 0.0
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(
            len(data.x_train)
        )
        for part, indices in enumerate(np.array_split(order, PARTS)):
            x = data.x_train[indices]
            begin = time.perf_counter()
            model.fit(x, x, batch_size=batch_size, shuffle=False, verbose=0)
            seconds += time.perf_counter() - begin
            yield {
                "epoch": epoch + (part + 1) / PARTS,
                "seconds": seconds,
                "train_loss": _evaluate(model, data.x_train),
                "test_loss": _evaluate(model, data.x_test),
            }


def train_by_kfac(python, model, data, damping, batch_size, epochs, seed):
    """The same, by kfac-jax in a process of another interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        weights = {
            f"weight_{i}": weight
            for i, weight in enumerate(model.get_weights())
        }
        np.savez(path, x_train=data.x_train, x_test=data.x_test, **weights)
        command = [python, str(Path(__file__).parent / "kfac_peer.py"), path]
        for option, value in (
            ("batch-size", batch_size),
            ("initial-damping", damping),
            ("epochs", epochs),
            ("parts", PARTS),
            ("seed", seed),
        ):
            command += [f"--{option}", str(value)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout:
                yield json.loads(line)
        if process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))} failed")


def crossing(points, threshold):
    """The first point at which the training loss is below a threshold."""
    for point in points:
        if point["train_loss"] <= threshold:
            return point
    return None


def table(rows):
    """A Markdown table: seconds (epochs) to each loss, for each row."""
    lines = [
        "| optimizer | B | "
        + " | ".join(str(threshold) for threshold in THRESHOLDS)
        + " | last |",
        "| --- | "
        + " | ".join("---" for _ in range(len(THRESHOLDS) + 2))
        + " |",
    ]
    for row in rows:
        cells = []
        for threshold in THRESHOLDS:
            point = crossing(row["points"], threshold)
            cells.append(
                f"{point['seconds']:.0f} s ({point['epoch']:g})"
                if point
                else "–"
            )
        last = row["points"][-1]
        cells.append(
            f"{last['train_loss']:.2f}, test {last['test_loss']:.2f}, "
            f"{last['seconds']:.0f} s ({last['epoch']:g})"
        )
        lines.append(
            f"| `{row['name']}` | {row['batch_size']} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


def _evaluate(model, x):
    return model.evaluate(
        x, x, batch_size=EVALUATION_BATCH_SIZE, verbose=0, return_dict=True
    )["loss"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data-dir", help="as in benchmarks.sweep")
    add("--download", action="store_true")
    add("--kfac-python", help="an interpreter that has kfac-jax")
    add("--results", type=Path, default=RESULTS)
    add("--seed", type=int, default=0)
    add("--only", nargs="*", help="names of configurations")
    add("--epochs", type=int, help="for all, in place of their own")
    add("--examples", type=int, help="train on the first so many")
    options = parser.parse_args()
    problem = problems.AUTOENCODER
    data = problems.load_data(
        problem, options.data_dir, options.download, options.examples
    )
    names = [*CONFIGURATIONS, *(KFAC if options.kfac_python else ())]
    run = [n for n in names if options.only is None or n in options.only]
    for name in run:
        keras.utils.clear_session()
        model = problems.make_model(
            problem, keras_locoprop.Sequential, options.seed
        )
        if name in KFAC:
            damping, batch_size = KFAC[name]
            epochs = options.epochs or KFAC_EPOCHS
            points = train_by_kfac(
                options.kfac_python,
                model,
                data,
                damping,
                batch_size,
                epochs,
                options.seed,
            )
        else:
            make, batch_size, epochs = CONFIGURATIONS[name]
            epochs = options.epochs or epochs
            points = train(
                model, make(), data, batch_size, epochs, options.seed
            )
        kept = []
        for point in points:
            kept.append(point)
            print(
                f"{name}: epoch {point['epoch']:g}, {point['seconds']:.1f} s, "
                f"train loss {point['train_loss']:.2f}",
                flush=True,
            )
        row = {
            "name": name,
            "batch_size": batch_size,
            "seed": options.seed,
            "train_examples": len(data.x_train),
            "points": kept,
            "versions": versions(),
        }
        append_line(options.results, row)
    print(table(read_lines(options.results)))


if __name__ == "__main__":
    main()
