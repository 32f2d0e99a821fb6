"""Whether `LocoProp("auto")` diverges anywhere.

python -m benchmarks.stability --data-dir DIR

Small networks of three activations on three tasks, from three starts (Glorot's,
He's, and Glorot's times three, a bad one), at three batch sizes, five seeds
each: 405 runs, appended to results/stability.jsonl and not run again.
"""

import argparse
import itertools
import math
from pathlib import Path

import keras
import numpy as np

import keras_locoprop
from benchmarks import problems
from benchmarks.records import append_line
from benchmarks.records import read_lines
from benchmarks.records import versions
from keras_locoprop import LocoProp

RESULTS = Path(__file__).parent / "results" / "stability.jsonl"
EXAMPLES = 4000
EPOCHS = 4
# Hidden units, the output's activation, the loss.
TASKS = {
    "autoencoder": (
        problems.AUTOENCODER,
        (128, 32, 128),
        (784, "sigmoid"),
        "binary_crossentropy",
    ),
    "classifier": (
        problems.CLASSIFIER,
        (128, 128),
        (10, "softmax"),
        "sparse_categorical_crossentropy",
    ),
    "regression": (
        problems.REGRESSION,
        (64, 64),
        (1, "linear"),
        "mean_squared_error",
    ),
}
STARTS = {
    "glorot": keras.initializers.GlorotUniform,
    "he": keras.initializers.HeNormal,
    "three times glorot": lambda seed: keras.initializers.VarianceScaling(
        9.0, "fan_avg", "uniform", seed=seed
    ),
}
AXES = {
    "task": tuple(TASKS),
    "activation": ("tanh", "relu", "gelu"),
    "start": tuple(STARTS),
    "batch_size": (64, 250, 1000),
    "seed": tuple(range(5)),
}


def make_model(configuration):
    """The network of a configuration, compiled with `LocoProp("auto")`."""
    problem, hidden, (units, activation), loss = TASKS[configuration["task"]]
    seeds = itertools.count(100 * configuration["seed"])

    def dense(units, activation):
        start = STARTS[configuration["start"]](seed=next(seeds))
        return keras.layers.Dense(units, activation, kernel_initializer=start)

    model = keras_locoprop.Sequential(
        [keras.Input((problem.inputs,))]
        + [dense(width, configuration["activation"]) for width in hidden]
        + [dense(units, activation)]
    )
    model.compile(LocoProp("auto"), loss)
    return model


def run(configuration, data):
    """Trains once.

    Returns:
        Dict with the loss before, and after every epoch, and the number of
        steps that were skipped.
    """
    keras.utils.set_random_seed(configuration["seed"])
    model = make_model(configuration)
    batch = {"batch_size": 1000, "verbose": 0}
    losses = [model.evaluate(data.x_train, data.y_train, **batch)]
    for epoch in range(EPOCHS):
        order = np.random.default_rng((configuration["seed"], epoch))
        order = order.permutation(len(data.x_train))
        model.fit(
            data.x_train[order],
            data.y_train[order],
            batch_size=configuration["batch_size"],
            shuffle=False,
            verbose=0,
        )
        losses.append(model.evaluate(data.x_train, data.y_train, **batch))
    return {
        "losses": losses,
        "skipped_steps": int(model.optimizer.skipped_steps),
    }


def has_diverged(row):
    """Whether a loss is not finite, or the last not below the first."""
    losses = row["losses"]
    return any(
        loss is None or not math.isfinite(loss) for loss in losses
    ) or not (losses[-1] < losses[0])


def configurations():
    """All combinations, as dicts."""
    return [
        dict(zip(AXES, values)) for values in itertools.product(*AXES.values())
    ]


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data-dir", help="as in benchmarks.sweep")
    add("--download", action="store_true")
    add("--results", type=Path, default=RESULTS)
    add("--limit", type=int, help="stop after so many runs")
    options = parser.parse_args(arguments)
    done = [row["configuration"] for row in read_lines(options.results)]
    left = [c for c in configurations() if c not in done][: options.limit]
    data = {}
    for i, configuration in enumerate(left):
        task = configuration["task"]
        if task not in data:
            data[task] = problems.load_data(
                TASKS[task][0], options.data_dir, options.download, EXAMPLES
            )
        keras.utils.clear_session()
        row = {"configuration": configuration} | run(configuration, data[task])
        append_line(options.results, row | {"versions": versions()})
        losses = row["losses"]
        print(
            f"{i + 1}/{len(left)} {configuration}: "
            f"{losses[0]:.4g} to {losses[-1]:.4g}"
            f"{' DIVERGED' if has_diverged(row) else ''}",
            flush=True,
        )
    rows = read_lines(options.results)
    diverged = [row["configuration"] for row in rows if has_diverged(row)]
    print(f"{len(rows)} runs, {len(diverged)} diverged: {diverged}")


if __name__ == "__main__":
    main()
