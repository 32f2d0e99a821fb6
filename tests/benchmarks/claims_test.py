"""Numbers in the documents' sentences; `documents_test` has the tables."""

import collections

import keras
import numpy as np
import pytest

import keras_locoprop
from benchmarks.comparison import training_loop
from benchmarks.comparison import tuning
from benchmarks.comparison.tasks import TASKS
from tests.recorded_results import ends
from tests.recorded_results import medians
from tests.recorded_results import rows_of
from tests.recorded_results import words_of

OURS, AUTO = "LocoProp()", 'LocoProp("auto")'


def wall_clock(purpose, problem, per_epoch=False):
    """Optimizer: median seconds of its runs."""
    seconds = medians(purpose, problem, "seconds")
    epochs = medians(purpose, problem, "epoch")
    return {
        name: taken / (epochs[name] if per_epoch else 1)
        for name, taken in seconds.items()
    }


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


def bytes_per_parameter_now(optimizer):
    """Its state; of large layers nearly all of it is per parameter."""
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
    return held / model.count_params()


def best_of_both_searches(optimizer):
    return sorted(
        min(map(tuning.score, tuning.trials_of(rows, "mnist", optimizer)))
        for rows in map(rows_of, ("comparison", "comparison_on_gpu"))
    )


def smallest_and_largest(values):
    return min(values), max(values)


def equal_seconds():
    seconds = wall_clock("final_seconds", "classifier")
    *most, _, _ = sorted(v for name, v in seconds.items() if name != AUTO)
    return seconds[AUTO], *smallest_and_largest(most)


def change_of_speed():
    first, second = (
        wall_clock(purpose, "classifier", per_epoch=True)
        for purpose in ("final", "final_seconds")
    )
    changes = [100 * (second[name] / first[name] - 1) for name in first]
    return -min(changes), max(changes)


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


def seconds_of_those_ahead_of_auto(problem):
    seconds = wall_clock("final", problem)
    return smallest_and_largest(
        [
            seconds[other] / seconds[AUTO]
            for other in ("K-FAC (kfac-jax)", "Muon")
        ]
    )


def headlines_on_a_gpu(optimizer):
    return [
        row["points"]
        for row in rows_of("comparison_on_gpu")
        if row["configuration"]["purpose"] == "headline"
        and row["configuration"]["optimizer"] == optimizer
    ]


def seconds_to_a_loss_on_a_gpu(target, *optimizers):
    return [
        min(
            point["seconds"]
            for points in headlines_on_a_gpu(name)
            for point in points
            if point["train_loss"] < target
        )
        for name in optimizers
    ]


def seconds_of_compilation_on_a_gpu(*optimizers):
    return [
        min(points[0]["compile_seconds"] for points in headlines_on_a_gpu(name))
        for name in optimizers
    ]


README, BENCHMARKS = "README.md", "benchmarks/README.md"
DEFAULT = "LocoProp, default"
# Document, what it says, and where its numbers come from.
CLAIMS = [
    (
        README,
        "by steps that take (on TensorFlow) {:.1f} to {:.1f} times as long.",
        lambda: smallest_and_largest(list(step_ratios_on_tensorflow())),
    ),
    (
        README,
        "On TensorFlow a step takes {:.1f} to {:.1f} times as long as Adam's",
        lambda: smallest_and_largest(list(step_ratios_on_tensorflow())),
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
            *smallest_and_largest(bytes_per_parameter("auto, full")),
            max(bytes_per_parameter("Adam")),
        ),
    ),
    (
        README,
        '`LocoProp()` holds {:.0f} bytes per parameter, `"auto"` {:.0f} to '
        "{:.0f}, Adam {:.0f}.",
        lambda: (
            bytes_per_parameter_now(keras_locoprop.LocoProp()),
            *smallest_and_largest(bytes_per_parameter("auto, full")),
            bytes_per_parameter_now(keras.optimizers.Adam()),
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
        lambda: seconds_of_those_ahead_of_auto("fashion"),
    ),
    (
        README,
        "six percent ahead, in {:.1f} to {:.1f} times its seconds, and on the "
        "deep one K-FAC",
        lambda: seconds_of_those_ahead_of_auto("relu"),
    ),
    (
        README,
        "where there are only dense layers it takes {:.1f} to {:.1f} times the "
        'seconds of `"auto"`.',
        lambda: smallest_and_largest(
            [
                seconds["Muon"] / seconds[AUTO]
                for problem in (
                    "mnist",
                    "fashion",
                    "deep",
                    "relu",
                    "classifier",
                )
                for seconds in [wall_clock("final", problem)]
            ]
        ),
    ),
    (
        README,
        'There `"auto"` was below 57 after {:.0f} seconds of training, '
        "`LocoProp()` after {:.0f}, Adam after {:.0f}, one run of each; but "
        "they took {:.0f}, {:.0f} and {:.0f} seconds to compile first, and",
        lambda: (
            *seconds_to_a_loss_on_a_gpu(57, AUTO, OURS, "Adam"),
            *seconds_of_compilation_on_a_gpu(AUTO, OURS, "Adam"),
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
        "Muon's one epoch on the classifier took {:.0f} seconds of the {:.0f} "
        'that `"auto"` then took, and two would have taken {:.0f}.',
        lambda: [
            (seconds["Muon"], seconds[AUTO], 2 * seconds["Muon"])
            for seconds in [wall_clock("final_seconds", "classifier")]
        ][0],
    ),
    (
        BENCHMARKS,
        "a step of Adam takes {:.1f} ms there",
        lambda: [
            1000
            * min(
                points[-1]["seconds"] for points in headlines_on_a_gpu("Adam")
            )
            / training_loop.count_steps(60_000, 1000, 100)
        ],
    ),
    (
        BENCHMARKS,
        "just above the recorded {:.2f} to {:.2f}",
        lambda: smallest_and_largest(
            ends("final", "mnist", "train_loss")["Adam"]
        ),
    ),
    (
        BENCHMARKS,
        "just below the recorded {:.5f} to {:.5f}",
        lambda: smallest_and_largest(
            ends("final", "classifier", "train_loss")[
                "Shampoo (pytorch_optimizer)"
            ]
        ),
    ),
    (
        BENCHMARKS,
        "the same but for their seconds, {:.0f} to {:.0f}, which",
        lambda: smallest_and_largest(seconds_of_the_default()),
    ),
]


@pytest.mark.parametrize(("document", "template", "values"), CLAIMS)
def test_a_number_is_that_of_the_results(document, template, values):
    assert template.format(*values()) in words_of(document)
