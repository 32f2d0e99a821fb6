"""Numbers in README.md's sentences; `documents_test` has the tables."""

import collections
import statistics

import keras
import numpy as np
import pytest

import keras_locoprop
from benchmarks.comparison import tuning
from benchmarks.comparison.cells import crossing
from tests.recorded_results import AUTO
from tests.recorded_results import FINAL
from tests.recorded_results import HEADLINE
from tests.recorded_results import KFAC
from tests.recorded_results import OURS
from tests.recorded_results import SECONDS
from tests.recorded_results import at_a_batch_size
from tests.recorded_results import ends
from tests.recorded_results import headlines_on_a_gpu
from tests.recorded_results import medians
from tests.recorded_results import problems_with
from tests.recorded_results import rows_of
from tests.recorded_results import smallest_and_largest
from tests.recorded_results import times_the_seconds
from tests.recorded_results import wall_clock
from tests.recorded_results import words_of


def step_ratios_on_tensorflow():
    """A step of `LocoProp()` over one of Adam, wherever they were compared.

    That is in all runs of the comparison at the same batch size, and by the
    scripts that time steps.
    """
    seconds = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows_of():
        who = row["configuration"]
        is_compared = (
            who["purpose"] != tuning.PURPOSE
            and who.get("table", "batch size") == "batch size"
        )
        if is_compared and who["optimizer"] in (OURS, "Adam"):
            last = row["points"][-1]
            names = "purpose", "problem", "batch_size"
            where = row["processor"], *(who[name] for name in names)
            seconds[where][who["optimizer"]].append(
                last["seconds"] / last["epoch"]
            )
    for of in seconds.values():
        if len(of) == 2:
            yield statistics.median(of[OURS]) / statistics.median(of["Adam"])
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


def most_on_backend(backend):
    return max(
        problem["optimizers"]["LocoProp, default"]["ratio_to_adam"]
        for row in rows_of("step_time_on_backends")
        for problem in row["problems"].values()
        if row["backend"] == backend
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


def times_of_auto_at_equal_seconds():
    return [
        times_the_seconds(name, AUTO, SECONDS, problem)
        for problem in problems_with(SECONDS)
        for name in ends(SECONDS, problem, "seconds")
    ]


def changes_of_speed():
    """In percent, of an epoch from equal epochs to equal seconds."""
    return [
        100 * (second[name] / first[name] - 1)
        for problem in problems_with(SECONDS)
        for first, second in [
            [
                wall_clock(purpose, problem, per_epoch=True)
                for purpose in (FINAL, SECONDS)
            ]
        ]
        for name in second
    ]


def headline_test_loss_of_auto(epochs):
    """In the headline, the median of its seeds."""
    return statistics.median(
        point["test_loss"]
        for row in rows_of()
        for who in [row["configuration"]]
        if (who["purpose"], who["optimizer"]) == (HEADLINE, AUTO)
        for point in row["points"]
        if point["epoch"] == epochs
    )


def seconds_of_kfac_to(loss):
    """Of its settings the fastest one's."""
    return min(
        point["seconds"]
        for row in rows_of("time_to_loss")
        if row["name"].startswith("kfac-jax")
        for point in row["points"]
        if point["train_loss"] <= loss
    )


def at_a_constant_rate(name):
    """What `time_to_loss` has at a batch size of 1000."""
    [points] = [
        row["points"]
        for row in rows_of("time_to_loss")
        if (row["name"].split(", B=")[0], row["batch_size"], row["problem"])
        == (name, 1000, "mnist")
    ]
    return points


def seconds_as_it_comes(name, target):
    return crossing(at_a_constant_rate(name), target)["seconds"]


def adam_after_5_epochs_at_a_constant_rate():
    [loss] = [
        point["train_loss"]
        for point in at_a_constant_rate("Adam, 1e-3")
        if point["epoch"] == 5
    ]
    return loss


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


DEFAULT = "LocoProp, default"
# What README.md says, and where its numbers come from.
CLAIMS = [
    (
        "by steps that take (on TensorFlow) {:.1f} to {:.1f} times as long.",
        lambda: smallest_and_largest(list(step_ratios_on_tensorflow())),
    ),
    (
        "is below a train loss of 70 after {:.0f} seconds with `LocoProp()` as "
        'it comes, and below 60 after {:.0f} with `LocoProp("auto")`.',
        lambda: (seconds_as_it_comes(OURS, 70), seconds_as_it_comes(AUTO, 60)),
    ),
    (
        "about 40 seconds take Adam to {:.2f}, `LocoProp()` to {:.2f} and "
        '`LocoProp("auto")` to {:.2f} (',
        lambda: map(
            medians("final_seconds", "mnist").get, ("Adam", OURS, AUTO)
        ),
    ),
    (
        "On TensorFlow a step of `LocoProp()` takes {:.1f} to {:.1f} times as "
        "long as Adam's",
        lambda: smallest_and_largest(list(step_ratios_on_tensorflow())),
    ),
    (
        "up to {:.1f} and {:.1f} times. A step",
        lambda: map(most_on_backend, ("jax", "torch")),
    ),
    (
        "A step of `LocoProp()` took {:.1f} times as long as Adam's on the "
        "autoencoder at batch size 1000, and {:.1f} times on the classifier at "
        "batch size 128",
        lambda: step_time(
            "ratio_to_adam", ("autoencoder", DEFAULT), ("classifier", DEFAULT)
        ),
    ),
    (
        "{:.1f} times the time that its matrix products alone would take at "
        "the rate of large square ones; for Adam it is {:.1f}",
        lambda: step_time(
            "ratio_to_floor", ("autoencoder", DEFAULT), ("autoencoder", "Adam")
        ),
    ),
    (
        "holds {:.0f} to {:.0f} bytes per parameter against Adam's {:.0f}",
        lambda: (
            *smallest_and_largest(bytes_per_parameter("auto, full")),
            max(bytes_per_parameter("Adam")),
        ),
    ),
    (
        '`LocoProp()` holds {:.0f} bytes per parameter, `"auto"` {:.0f} to '
        "{:.0f}, Adam {:.0f}.",
        lambda: (
            bytes_per_parameter_now(keras_locoprop.LocoProp()),
            *smallest_and_largest(bytes_per_parameter("auto, full")),
            bytes_per_parameter_now(keras.optimizers.Adam()),
        ),
    ),
    (
        "the first below 70 takes {:.0f} seconds, the first below 65 takes "
        "{:.0f} (",
        lambda: (seconds_of_kfac_to(70), seconds_of_kfac_to(65)),
    ),
    (
        "with its defaults, on the paper's schedule, it comes in 5 epochs to "
        "{:.1f} at a batch size of 125, in {:.0f} seconds, and to {:.0f} at "
        "1000, in {:.0f} (to {:.0f} at a constant rate); "
        "`LocoProp()` comes to {:.1f} at 500, in {:.0f}, and "
        '`"auto"` to {:.1f} at 1000, in {:.0f} (',
        lambda: (
            *at_a_batch_size("Adam", 125),
            *at_a_batch_size("Adam", 1000),
            adam_after_5_epochs_at_a_constant_rate(),
            *at_a_batch_size(OURS, 500),
            *at_a_batch_size(AUTO, 1000),
        ),
    ),
    (
        "An epoch took from {:.0f} % less to {:.0f} % more than above.",
        lambda: (-min(changes_of_speed()), max(changes_of_speed())),
    ),
    (
        "each optimizer took {:.1f} to {:.1f} times those of "
        '`"auto"`, but K-FAC {:.1f} times in its one epoch of the '
        "convolutional network.",
        lambda: [
            (*smallest_and_largest(times), most)
            for *times, most in [sorted(times_of_auto_at_equal_seconds())]
            if most == times_the_seconds(KFAC, AUTO, SECONDS, "convolutional")
        ][0],
    ),
    (
        'At about the seconds of `"auto"`, AdamW and Adam come to {:.2f} and '
        "{:.2f} on the convolutional network, `LocoProp()` to {:.2f} and "
        '`"auto"` to {:.2f};',
        lambda: map(
            medians(SECONDS, "convolutional").get,
            ("AdamW", "Adam", OURS, AUTO),
        ),
    ),
    (
        "K-FAC, in {:.1f} to {:.1f} times the seconds of "
        '`"auto"`, is level with it',
        lambda: smallest_and_largest(
            [
                times_the_seconds(KFAC, AUTO, FINAL, problem)
                for problem in ("mnist", "fashion", "deep", "wide", "relu")
            ]
        ),
    ),
    (
        'that of `"auto"` rises again, from {:.1f} after 10 epochs to {:.1f}.',
        lambda: map(headline_test_loss_of_auto, (10, 100)),
    ),
    (
        "where there are only dense layers it takes {:.1f} to {:.1f} times the "
        'seconds of `"auto"`.',
        lambda: smallest_and_largest(
            [
                seconds["Muon"] / seconds[AUTO]
                for problem in (
                    "mnist",
                    "fashion",
                    "deep",
                    "wide",
                    "relu",
                    "classifier",
                )
                for seconds in [wall_clock("final", problem)]
            ]
        ),
    ),
    (
        'There `"auto"` was below 57 after {:.0f} seconds of training, '
        "`LocoProp()` after {:.0f}, Adam after {:.0f}, one run of each; but "
        "they took {:.0f}, {:.0f} and {:.0f} seconds to compile first, and",
        lambda: (
            *seconds_to_a_loss_on_a_gpu(57, AUTO, OURS, "Adam"),
            *seconds_of_compilation_on_a_gpu(AUTO, OURS, "Adam"),
        ),
    ),
]


@pytest.mark.parametrize(("template", "values"), CLAIMS)
def test_a_number_is_that_of_the_results(template, values):
    assert template.format(*values()) in words_of("README.md")
