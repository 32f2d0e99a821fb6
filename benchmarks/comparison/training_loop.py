"""The training loop that all optimizers share, whatever their framework.

It imports nothing but NumPy, so that interpreters with another framework can
run it: `serve` is what they do, and `benchmarks.comparison.runs` what asks them
to.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

EVALUATION_BATCH_SIZE = 2000
# Keras's default, which is not that of the other frameworks.
NORMALIZATION_EPSILON = 1e-3
WARM_UP = 0.05
# The variable that names the file which runs at the same time have for a lock:
# they compile side by side, and train one after the other.
LOCK = "TRAINING_LOCK"


def rate_factor(step, steps, minimum=min):
    """The learning rate of a step, in parts of the highest one.

    It rises linearly over the first twentieth of the steps and falls linearly
    to zero over the others: the schedule of the paper.

    Args:
        step: Integer, from 0; may be a tensor.
        steps: Integer, how many there are.
        minimum: Function of two numbers, for tensors.

    Returns:
        A number from 0 to 1.
    """
    warm_up = max(1, round(WARM_UP * steps))
    return minimum((step + 1) / warm_up, (steps - step) / (steps - warm_up + 1))


def count_steps(examples, batch_size, epochs):
    """The steps of a training; the rest of an epoch's examples is left out."""
    return examples // batch_size * epochs


def train(trainer, data, run, checkpoint=None):
    """Trains and yields a record before the first step and after each part.

    A seed gives the same batches to every optimizer. Neither compilation nor
    evaluation is in the seconds.

    Args:
        trainer: Object with `warm_up(x, y)`, which compiles and leaves no
            trace, `fit(x, y, batch_size)`, which trains on the batches in order
            and returns, when that is done, the seconds of its steps, or `None`
            if it did nothing else, and `evaluate(x, y)`, a dict of `loss` and
            perhaps `accuracy`. With a checkpoint also `state()`, a list of
            arrays, and `restore(state)`.
        data: Dict of arrays `x_train`, `y_train`, `x_test`, `y_test`.
        run: Dict with `batch_size`, `epochs`, `seed` and `parts`, the number of
            records per epoch; perhaps with `every`: only every so many epochs,
            and the last one, are recorded.
        checkpoint: Object with `load()`, records and state or `None`, and
            `save(records, state)`; it is saved after every recorded epoch.
            Defaults to `None`.

    Raises:
        ValueError: If there are fewer training examples than in a batch.

    Yields:
        Dict with `epoch`, `seconds`, `train_loss`, `test_loss` and perhaps
        accuracies; the first one also with `compile_seconds`.
    """
    size, parts, every = run["batch_size"], run["parts"], run.get("every", 1)
    x_train, y_train = data["x_train"], data["y_train"]
    if size > len(x_train):
        raise ValueError(
            "`batch_size` must be at most the number of training examples. "
            f"Received: batch_size={size}, {len(x_train)} examples"
        )
    begin = time.perf_counter()
    if run["epochs"]:
        trainer.warm_up(x_train[:size], y_train[:size])
    compile_seconds = time.perf_counter() - begin
    records, state = (checkpoint and checkpoint.load()) or ([], None)
    if state is not None:
        trainer.restore(state)
    else:
        start = _evaluated(trainer, data) | {"epoch": 0, "seconds": 0.0}
        records = [start | {"compile_seconds": compile_seconds}]
    yield from records
    seconds = records[-1]["seconds"]
    with _alone():
        for epoch in range(round(records[-1]["epoch"]), run["epochs"]):
            order = np.random.default_rng((run["seed"], epoch)).permutation(
                len(x_train)
            )
            batches = order[: len(order) // size * size].reshape(-1, size)
            is_recorded = (epoch + 1) % every == 0 or epoch + 1 == run["epochs"]
            for part, some in enumerate(np.array_split(batches, parts)):
                x, y = x_train[some.ravel()], y_train[some.ravel()]
                begin = time.perf_counter()
                of_steps = trainer.fit(x, y, size)
                elapsed = time.perf_counter() - begin
                seconds += elapsed if of_steps is None else of_steps
                if not is_recorded:
                    continue
                at = {"epoch": epoch + (part + 1) / parts, "seconds": seconds}
                records.append(at | _evaluated(trainer, data))
                yield records[-1]
                if not np.isfinite(records[-1]["train_loss"]):
                    return
            if checkpoint and is_recorded:
                checkpoint.save(records, trainer.state())


def in_batches(size, *arrays):
    """Yields the arrays piece by piece."""
    for first in range(0, len(arrays[0]), size):
        yield tuple(array[first : first + size] for array in arrays)


def mean_results(results):
    """The mean of dicts of numbers over examples, from `(count, dict)`."""
    counts, dicts = zip(*results)
    return {
        name: float(np.average([d[name] for d in dicts], weights=counts))
        for name in dicts[0]
    }


def serve(make_trainer, versions):
    """Does one training in a process of its own.

    Its argument is a folder with `run.json`, a dict, and `arrays.npz`: the data
    and the initial weights `weight_0` and so on, as Keras orders them. It
    prints a line of JSON with the versions, then one for each record.

    Args:
        make_trainer: Function of that dict and of the list of weights.
        versions: Dict of what the process runs on.
    """
    folder = Path(sys.argv[1])
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz") as arrays:
        data = dict(arrays)
    weights = [data.pop(f"weight_{i}") for i in range(run["weights"])]
    print(json.dumps({"versions": versions}), flush=True)
    for record in train(make_trainer(run, weights), data, run):
        print(json.dumps(record), flush=True)


@contextlib.contextmanager
def _alone():
    """Waits for other runs, if they share a lock, to end their training."""
    path = os.environ.get(LOCK)
    if not path:
        yield
        return
    import fcntl  # Windows has none.

    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _evaluated(trainer, data):
    return {
        f"{part}_{name}": float(value)
        for part in ("train", "test")
        for name, value in trainer.evaluate(
            data[f"x_{part}"], data[f"y_{part}"]
        ).items()
    }
