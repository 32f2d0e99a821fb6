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
    """The network of a configuration."""
    problem, hidden, (units, activation), _ = TASKS[configuration["task"]]
    seeds = itertools.count(100 * configuration["seed"])

    def dense(units, activation):
        start = STARTS[configuration["start"]](seed=next(seeds))
        return keras.layers.Dense(units, activation, kernel_initializer=start)

    return keras_locoprop.Sequential(
        [keras.Input((problem.inputs,))]
        + [dense(width, configuration["activation"]) for width in hidden]
        + [dense(units, activation)]
    )


class Training:
    """A network that trains by `LocoProp("auto")`, again and again.

    Compiling takes longer than training. Every training begins in the state
    that a new optimizer has.

    Args:
        configuration: Dict; its task and its activation count.
    """

    def __init__(self, configuration):
        keras.utils.clear_session()
        self.model = make_model(configuration)
        self.model.compile(LocoProp("auto"), TASKS[configuration["task"]][-1])
        self.model.make_train_function()
        self._optimizer_state = [
            keras.ops.convert_to_numpy(variable)
            for variable in self.model.optimizer.variables
        ]

    def run(self, configuration, data):
        """Trains once.

        Args:
            configuration: Dict.
            data: `problems.Data`.

        Returns:
            Dict with the loss before, and after every epoch, and the number of
            steps that were skipped.
        """
        self.model.set_weights(make_model(configuration).get_weights())
        for variable, value in zip(
            self.model.optimizer.variables, self._optimizer_state, strict=True
        ):
            variable.assign(value)
        batch = {"batch_size": 1000, "verbose": 0}
        losses = [self.model.evaluate(data.x_train, data.y_train, **batch)]
        for epoch in range(EPOCHS):
            order = np.random.default_rng((configuration["seed"], epoch))
            order = order.permutation(len(data.x_train))
            self.model.fit(
                data.x_train[order],
                data.y_train[order],
                batch_size=configuration["batch_size"],
                shuffle=False,
                verbose=0,
            )
            losses.append(
                self.model.evaluate(data.x_train, data.y_train, **batch)
            )
        return {
            "losses": losses,
            "skipped_steps": int(self.model.optimizer.skipped_steps),
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
    add("--seeds", type=int, nargs="*", help="only these of the five")
    options = parser.parse_args(arguments)
    done = [row["configuration"] for row in read_lines(options.results)]
    left = [
        configuration
        for configuration in configurations()
        if configuration not in done
        and (options.seeds is None or configuration["seed"] in options.seeds)
    ][: options.limit]
    trained = None
    for i, configuration in enumerate(left):
        network = configuration["task"], configuration["activation"]
        if network != trained:
            training, trained = Training(configuration), network
            data = problems.load_data(
                TASKS[configuration["task"]][0],
                options.data_dir,
                options.download,
                EXAMPLES,
            )
        results = training.run(configuration, data)
        row = {"configuration": configuration} | results
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
