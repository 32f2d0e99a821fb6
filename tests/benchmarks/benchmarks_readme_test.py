"""Sentences of benchmarks/README.md: their numbers, and who is ahead."""

import re

import pytest

from benchmarks.comparison import training_loop
from benchmarks.comparison import tuning
from benchmarks.comparison.peers import PEERS
from tests.recorded_results import AUTO
from tests.recorded_results import KFAC
from tests.recorded_results import ROOT
from tests.recorded_results import SHAMPOO
from tests.recorded_results import ends
from tests.recorded_results import headlines_on_a_gpu
from tests.recorded_results import rows_of
from tests.recorded_results import smallest_and_largest
from tests.recorded_results import trial_losses
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
        "the same but for their seconds, {:.0f} to {:.0f}, which",
        lambda: smallest_and_largest(seconds_of_the_default()),
    ),
]
# What it says, and why it is so.
VERDICTS = [
    (
        "on the autoencoder six each of Adam and AdamW, three each of SGD and "
        "K-FAC, one of Lion.",
        lambda: (
            {
                name: more
                for name in PEERS
                if (more := len(trial_losses(name, "mnist")) - tuning.TRIALS)
                > 0
            }
            == {"Adam": 6, "AdamW": 6, "SGD, momentum": 3, KFAC: 3, "Lion": 1}
        ),
    ),
    (
        "with an eighth of the batch an epoch takes less than half the time "
        "that it does with all rows.",
        lambda: seconds_of_slices(128) < 0.5 * seconds_of_slices("all"),
    ),
    (
        'On the Fashion-MNIST autoencoder the six dampings of `"auto"` come to '
        "the same",
        lambda: (
            len(trial_losses(AUTO, "fashion")) == 6
            and len(set(trial_losses(AUTO, "fashion"))) == 1
        ),
    ),
]


@pytest.mark.parametrize(("template", "values"), CLAIMS)
def test_a_number_is_that_of_the_results(template, values):
    assert template.format(*values()) in words_of(DOCUMENT)


@pytest.mark.parametrize(("sentence", "holds"), VERDICTS)
def test_a_verdict_is_that_of_the_results(sentence, holds):
    assert sentence in words_of(DOCUMENT)
    assert holds()
