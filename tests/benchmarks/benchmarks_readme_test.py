"""Other sentences of benchmarks/README.md: their numbers, and who is ahead."""

import re

import pytest

from benchmarks.comparison import training_loop
from benchmarks.comparison import tuning
from benchmarks.comparison.cells import text_of
from benchmarks.comparison.peers import PEERS
from tests.recorded_results import AUTO
from tests.recorded_results import KFAC
from tests.recorded_results import OURS
from tests.recorded_results import ROOT
from tests.recorded_results import SHAMPOO
from tests.recorded_results import SOAP
from tests.recorded_results import at_a_batch_size
from tests.recorded_results import ends
from tests.recorded_results import headlines_on_a_gpu
from tests.recorded_results import rows_of
from tests.recorded_results import smallest_and_largest
from tests.recorded_results import wall_clock
from tests.recorded_results import words_of


def best_of_both_searches(optimizer):
    return sorted(
        min(map(tuning.score, tuning.trials_of(rows, "mnist", optimizer)))
        for rows in map(rows_of, ("comparison", "comparison_on_gpu"))
    )


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


def of_batches_of_1000_over_125():
    """Optimizer: ratios of the train loss and of epochs per second."""
    compared = {}
    for name in (OURS, AUTO, "Adam"):
        large, large_seconds = at_a_batch_size(name, 1000)
        small, small_seconds = at_a_batch_size(name, 125)
        compared[name] = {
            "loss": large / small,
            "rate": small_seconds / large_seconds,
        }
    return compared


def in_common_with_an_h100():
    """Optimizer and settings: losses of the trials here and there."""
    rows = {
        "here": rows_of(),
        "there": [
            row
            for row in rows_of("comparison_on_gpu")
            if "H100" in row["versions"]["accelerator"]
        ],
    }
    losses = {
        where: {
            (name, text_of(row["configuration"]["settings"])): tuning.score(row)
            for name in PEERS
            for row in tuning.trials_of(some, "mnist", name)
        }
        for where, some in rows.items()
    }
    return {
        who: (loss, losses["there"][who])
        for who, loss in losses["here"].items()
        if who in losses["there"]
    }


def slower_than_on_mnist():
    """Seconds of an epoch on the same network and other images."""
    here, there = (
        wall_clock("final", problem, per_epoch=True)
        for problem in ("fashion", "mnist")
    )
    return [here[name] / there[name] for name in PEERS]


def checked(problem, optimizer):
    """What the first seed came to when it was run once more, at last."""
    path = ROOT / f"benchmarks/results/comparison_check_{problem}.txt"
    pattern = re.escape(f"{problem}, {optimizer}: train loss ") + r"(\S+),"
    *_, loss = re.findall(pattern, path.read_text(encoding="utf-8"))
    return float(loss)


def seconds_of_slices(size):
    [row] = [
        row
        for row in rows_of()
        if row["configuration"].get("table") == "slice size"
        and row["configuration"]["settings"].get("inner_batch_size") == size
    ]
    return row["points"][-1]["seconds"]


def seconds_and_slowness_on_the_transformer(*optimizers):
    """At equal seconds; and how much longer an epoch took there."""
    seconds = wall_clock("final_seconds", "transformer")
    before, after = (
        wall_clock(purpose, "transformer", per_epoch=True)
        for purpose in ("final", "final_seconds")
    )
    return [
        *(seconds[name] for name in optimizers),
        *(after[name] / before[name] for name in optimizers),
    ]


DOCUMENT = "benchmarks/README.md"
# What it says, and where its numbers come from.
CLAIMS = [
    (
        "the better search of SOAP on the autoencoder came to {:.0f}, the "
        "other one to {:.0f}",
        lambda: best_of_both_searches("SOAP (pytorch_optimizer)"),
    ),
    (
        "those of AdamW to {:.0f} and {:.0f}",
        lambda: best_of_both_searches("AdamW"),
    ),
    (
        "Muon's one epoch on the classifier took {:.0f} seconds of the {:.0f} "
        'that `"auto"` then took, and two would have taken {:.0f}.',
        lambda: [
            (seconds["Muon"], seconds[AUTO], 2 * seconds["Muon"])
            for seconds in [wall_clock("final_seconds", "classifier")]
        ][0],
    ),
    (
        "On the Fashion-MNIST autoencoder its one epoch took {:.0f} of {:.0f}, "
        "K-FAC's {:.0f}; two would have taken {:.0f} and {:.0f}.",
        lambda: [
            (muon, seconds[AUTO], kfac, 2 * muon, 2 * kfac)
            for seconds in [wall_clock("final_seconds", "fashion")]
            for muon, kfac in [(seconds["Muon"], seconds[KFAC])]
        ][0],
    ),
    (
        "With ReLU they took {:.0f} and {:.0f} of {:.0f}, on the deep one "
        "{:.0f} and {:.0f} of {:.0f}, on the wide one {:.0f} and {:.0f} of "
        "{:.0f}. K-FAC's one epoch of the convolutional network took {:.0f} of "
        "{:.0f}.",
        lambda: [
            wall_clock("final_seconds", problem)[name]
            for problem, names in (
                ("relu", ("Muon", KFAC, AUTO)),
                ("deep", ("Muon", KFAC, AUTO)),
                ("wide", ("Muon", KFAC, AUTO)),
                ("convolutional", (KFAC, AUTO)),
            )
            for name in names
        ],
    ),
    (
        "On the transformer SOAP took {:.0f} and Shampoo {:.0f} of {:.0f}: "
        "their epochs then took {:.1f} and {:.1f} times as long as at equal "
        'epochs, those of `"auto"` {:.1f} times.',
        lambda: seconds_and_slowness_on_the_transformer(SOAP, SHAMPOO, AUTO),
    ),
    (
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
        "lands at {:.2f}, just above the recorded {:.2f} to {:.2f}",
        lambda: (
            checked("mnist", "Adam"),
            *smallest_and_largest(ends("final", "mnist", "train_loss")["Adam"]),
        ),
    ),
    (
        "lands at {:.5f}, just below the recorded {:.5f} to {:.5f}",
        lambda: (
            checked("classifier", SHAMPOO),
            *smallest_and_largest(
                ends("final", "classifier", "train_loss")[SHAMPOO]
            ),
        ),
    ),
    (
        "took {:.1f} to {:.1f} times as long on Fashion-MNIST as on MNIST:",
        lambda: smallest_and_largest(slower_than_on_mnist()),
    ),
    (
        "(Adam with its defaults: {:.0f} and {:.0f})",
        lambda: [
            losses
            for (name, _), losses in in_common_with_an_h100().items()
            if name == "Adam"
        ][0],
    ),
    (
        "the same but for their seconds, {:.0f} to {:.0f}, which",
        lambda: smallest_and_largest(seconds_of_the_default()),
    ),
]
# What it says, and why it is so.
VERDICTS = [
    (
        "Of nine settings of the autoencoder's trials that two cores and the "
        "H100 have in common, eight come to the same there within 1.1 percent",
        lambda: (
            [
                name
                for (name, _), (here, there) in in_common_with_an_h100().items()
                if abs(there / here - 1) > 0.011
            ]
            == ["Adam"]
            and len(in_common_with_an_h100()) == 9
        ),
    ),
    (
        'smaller ones help Adam most, and cost `"auto"` most (',
        lambda: (
            [
                max(compared, key=lambda name: compared[name][value])
                for compared in [of_batches_of_1000_over_125()]
                for value in ("loss", "rate")
            ]
            == ["Adam", AUTO]
        ),
    ),
    (
        "with an eighth of the batch an epoch takes less than half the time "
        "that it does with all rows.",
        lambda: seconds_of_slices(128) < 0.5 * seconds_of_slices("all"),
    ),
]


@pytest.mark.parametrize(("template", "values"), CLAIMS)
def test_a_number_is_that_of_the_results(template, values):
    assert template.format(*values()) in words_of(DOCUMENT)


@pytest.mark.parametrize(("sentence", "holds"), VERDICTS)
def test_a_verdict_is_that_of_the_results(sentence, holds):
    assert sentence in words_of(DOCUMENT)
    assert holds()
