"""Numbers in the documents' sentences; `documents_test` has the tables."""

import collections
import statistics
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_locoprop
from benchmarks import records
from benchmarks.comparison import tuning
from benchmarks.comparison.tasks import TASKS

ROOT = Path(__file__).parents[2]
OURS, AUTO = "LocoProp()", 'LocoProp("auto")'


def rows_of(name):
    rows = records.read_lines(ROOT / "benchmarks/results" / f"{name}.jsonl")
    assert rows, f"{name}.jsonl is empty"
    return rows


def wall_clock(purpose, problem, per_epoch=False):
    """Optimizer: median seconds of its runs."""
    taken = collections.defaultdict(list)
    for row in rows_of("comparison"):
        configuration, end = row["configuration"], row["points"][-1]
        if (configuration["purpose"], configuration["problem"]) == (
            purpose,
            problem,
        ):
            seconds = end["seconds"] / (end["epoch"] if per_epoch else 1)
            taken[configuration["optimizer"]].append(seconds)
    return {name: statistics.median(runs) for name, runs in taken.items()}


def step_ratios_on_tensorflow():
    """A step of `LocoProp()` over one of Adam, wherever they were measured."""
    for purpose in ("final", "headline"):
        for problem in TASKS:
            seconds = wall_clock(purpose, problem, per_epoch=True)
            if OURS in seconds:
                yield seconds[OURS] / seconds["Adam"]
    [step_time] = rows_of("step_time")
    for problem in step_time["problems"].values():
        yield problem["optimizers"]["LocoProp, default"]["ratio_to_adam"]
    at = collections.defaultdict(dict)
    for row in rows_of("solver_cost"):
        at[str(row["point"])][row["solver"]] = row["seconds"]
    yield from (
        point[OURS] / point["Adam"] for point in at.values() if OURS in point
    )


def step_time(name, *measured):
    """Of pairs of a problem and an optimizer."""
    [row] = rows_of("step_time")
    return [
        row["problems"][problem]["optimizers"][optimizer][name]
        for problem, optimizer in measured
    ]


def most_on_backends():
    yield max(
        problem["optimizers"]["LocoProp, default"]["ratio_to_adam"]
        for row in rows_of("step_time_on_backends")
        for problem in row["problems"].values()
    )


def bytes_per_parameter(solver):
    return [
        row["state_bytes_per_parameter"]
        for row in rows_of("solver_cost")
        if row["solver"] == solver
    ]


def bytes_per_parameter_now(*optimizers):
    """The state of optimizers; of large layers nearly all is per parameter."""
    for optimizer in optimizers:
        model = keras_locoprop.Sequential(
            [keras.Input((256,)), keras.layers.Dense(256)]
        )
        model.compile(optimizer=optimizer, loss="mse")
        model.fit(np.zeros((2, 256)), np.zeros((2, 256)), verbose=0)
        variables = [
            *optimizer.variables,
            *getattr(optimizer, "solver_variables", ()),
        ]
        distinct = {id(variable): variable for variable in variables}.values()
        held = sum(np.asarray(variable).nbytes for variable in distinct)
        yield held / model.count_params()


def best_of_both_searches(optimizer):
    return sorted(
        min(map(tuning.score, tuning.trials_of(rows, "mnist", optimizer)))
        for rows in map(rows_of, ("comparison", "comparison_on_gpu"))
    )


def ends(values):
    return min(values), max(values)


def equal_seconds():
    seconds = wall_clock("final_seconds", "classifier")
    *most, _, _ = sorted(v for name, v in seconds.items() if name != AUTO)
    return seconds[AUTO], *ends(most)


def change_of_speed():
    first, second = (
        wall_clock(purpose, "classifier", per_epoch=True)
        for purpose in ("final", "final_seconds")
    )
    changes = [100 * (second[name] / first[name] - 1) for name in first]
    return -min(changes), max(changes)


def losses_of_shampoo():
    wanted = {
        "purpose": "final",
        "problem": "classifier",
        "optimizer": "Shampoo (pytorch_optimizer)",
    }
    return [
        row["points"][-1]["train_loss"]
        for row in rows_of("comparison")
        if wanted.items() <= row["configuration"].items()
    ]


def seconds_of_the_default():
    """The ablations whose settings are the defaults, whatever they vary."""
    rows = [r for r in rows_of("comparison") if "table" in r["configuration"]]
    [loss] = {
        row["points"][-1]["train_loss"]
        for row in rows
        if row["configuration"]["settings"].get("variant") == "matching"
    }
    return [
        row["points"][-1]["seconds"]
        for row in rows
        if row["points"][-1]["train_loss"] == loss
    ]


README, BENCHMARKS = "README.md", "benchmarks/README.md"
DEFAULT = "LocoProp, default"
# Document, what it says, and where its numbers come from.
CLAIMS = [
    (
        README,
        "by steps that take (on TensorFlow) {:.1f} to {:.1f} times as long.",
        lambda: ends(list(step_ratios_on_tensorflow())),
    ),
    (
        README,
        "On TensorFlow a step takes {:.1f} to {:.1f} times as long as Adam's",
        lambda: ends(list(step_ratios_on_tensorflow())),
    ),
    (README, "up to {:.1f} times. |", most_on_backends),
    (
        README,
        "A step of `LocoProp()` took {:.1f} times as long as Adam's on the "
        "autoencoder at batch size 1000, and {:.1f} times on the classifier at "
        "batch size 128",
        lambda: step_time(
            "ratio_to_adam", ("autoencoder", DEFAULT), ("classifier", DEFAULT)
        ),
    ),
    (
        README,
        "{:.1f} times the time that its matrix products alone would take at "
        "the rate of large square ones; for Adam it is {:.1f}",
        lambda: step_time(
            "ratio_to_floor", ("autoencoder", DEFAULT), ("autoencoder", "Adam")
        ),
    ),
    (
        README,
        "holds {:.0f} to {:.0f} bytes per parameter against Adam's {:.0f}",
        lambda: (
            *ends(bytes_per_parameter("auto, full")),
            max(bytes_per_parameter("Adam")),
        ),
    ),
    (
        README,
        '`LocoProp()` holds {:.0f} bytes per parameter, `"auto"` 21 to 28, '
        "Adam {:.0f}.",
        lambda: bytes_per_parameter_now(
            keras_locoprop.LocoProp(), keras.optimizers.Adam()
        ),
    ),
    (README, "took up to {:.0f} % less and {:.0f} % more", change_of_speed),
    (
        README,
        '`"auto"` took {:.0f}, most others {:.0f} to {:.0f}.',
        equal_seconds,
    ),
    (
        README,
        "ahead, in {:.1f} to {:.1f} times its seconds, and differ less",
        lambda: ends(
            [
                seconds[other] / seconds[AUTO]
                for seconds in [wall_clock("final", "fashion")]
                for other in ("K-FAC (kfac-jax)", "Muon")
            ]
        ),
    ),
    (
        README,
        "where there are only dense layers it takes {:.1f} to {:.1f} times the "
        'seconds of `"auto"`.',
        lambda: ends(
            [
                seconds["Muon"] / seconds[AUTO]
                for problem in ("mnist", "fashion", "classifier")
                for seconds in [wall_clock("final", problem)]
            ]
        ),
    ),
    (
        BENCHMARKS,
        "the better search of SOAP on the autoencoder came to {:.0f}, the "
        "other one to {:.0f}",
        lambda: best_of_both_searches("SOAP (pytorch_optimizer)"),
    ),
    (
        BENCHMARKS,
        "those of AdamW to {:.0f} and {:.0f}",
        lambda: best_of_both_searches("AdamW"),
    ),
    (
        BENCHMARKS,
        "just below the recorded {:.5f} to {:.5f}",
        lambda: ends(losses_of_shampoo()),
    ),
    (
        BENCHMARKS,
        "the same but for their seconds, {:.0f} to {:.0f}, which",
        lambda: ends(seconds_of_the_default()),
    ),
]


@pytest.mark.parametrize(("document", "template", "values"), CLAIMS)
def test_a_number_is_that_of_the_results(document, template, values):
    text = (ROOT / document).read_text(encoding="utf-8")
    assert template.format(*values()) in " ".join(text.split())
