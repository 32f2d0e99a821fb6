"""Sentences of benchmarks/README.md on what is not quite alike for all."""

import math

import pytest

from benchmarks.comparison import tuning
from benchmarks.comparison.peers import PEERS
from tests.recorded_results import AUTO
from tests.recorded_results import KFAC
from tests.recorded_results import OURS
from tests.recorded_results import PORT
from tests.recorded_results import SHAMPOO
from tests.recorded_results import ends
from tests.recorded_results import rows_of
from tests.recorded_results import smallest_and_largest
from tests.recorded_results import trial_losses
from tests.recorded_results import trials_everywhere
from tests.recorded_results import words_of


def numbers_of_trials(problem):
    return {name: len(trials_everywhere(problem, name)) for name in PEERS}


def settings_at_an_end(problem):
    """Of best ones: names of optimizers and settings.

    Zero, which turns something off, is no end, nor is one of two values, nor a
    number that is a name, as Shampoo's `graft_type`.
    """
    found = set()
    for name, peer in PEERS.items():
        best = tuning.best_settings(
            trials_everywhere(problem, name), problem, name
        )
        for setting, space in peer.space.items():
            if hasattr(space, "choices"):
                numbers = [n for n in space.choices if not isinstance(n, str)]
                few = len(numbers) < 3
                extremes = [] if few else [min(numbers), max(numbers)]
                is_at_end = best.get(setting) in extremes
            else:
                value = best.get(setting, math.sqrt(space.low * space.high))
                ratio = min(value / space.low, space.high / value)
                is_at_end = ratio < 1.05
            if is_at_end and best[setting] and setting != "graft_type":
                found.add((name, setting))
    return found


def changes_of_auto(problem):
    """From equal epochs to equal seconds, by seed: of the train loss."""
    first, second = (
        ends(purpose, problem, "train_loss")[AUTO]
        for purpose in ("final", "final_seconds")
    )
    return [after / before - 1 for before, after in zip(first, second)]


DOCUMENT = "benchmarks/README.md"
# What it says, and where its numbers come from.
CLAIMS = [
    (
        "it is {} (the PyTorch port) to {} (Adam and AdamW) there, and on the "
        "classifier {}, but for {} of K-FAC and {} of Adafactor.",
        lambda: [
            (first[PORT], first["Adam"], second["Adam"], second[KFAC])
            + (second["Adafactor"],)
            for first in [numbers_of_trials("mnist")]
            for second in [numbers_of_trials("classifier")]
            if set(smallest_and_largest(first.values()))
            == {first[PORT], first["AdamW"]}
            and first["Adam"] == first["AdamW"]
            and len(set(second.values())) == 3
        ][0],
    ),
    (
        "two of three seeds came to {:.1f} and {:.1f} in place of {:.1f} and "
        "{:.1f};",
        lambda: [
            losses[AUTO][seed]
            for purpose in ("final_seconds", "final")
            for losses in [ends(purpose, "fashion", "train_loss")]
            for seed in (1, 2)
        ],
    ),
    (
        "With ReLU the changes took it from {:.1f} to {:.1f}:",
        lambda: [
            min(map(tuning.score, tuning.trials_of(rows, "relu", AUTO)))
            for rows in map(rows_of, ("comparison_on_gpu", "comparison"))
        ],
    ),
]
# What it says, and why it is so.
VERDICTS = [
    (
        "What was run again at equal seconds, for as many epochs, came to the "
        "same on autoencoders, but on Fashion-MNIST,",
        lambda: all(
            max(map(abs, changes_of_auto(problem))) < 1e-4
            for problem in ("mnist", "deep", "wide", "relu")
        ),
    ),
    (
        "on the convolutional network and the transformer, on another "
        "processor, it came to others within 16 percent.",
        lambda: all(
            max(map(abs, changes_of_auto(problem))) < 0.16
            for problem in ("convolutional", "transformer")
        ),
    ),
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
        'They search one setting (`"auto"`) to five (Muon).',
        lambda: (
            [len(PEERS[name].space) for name in (AUTO, "Muon")]
            == [*smallest_and_largest([len(p.space) for p in PEERS.values()])]
            == [1, 5]
        ),
    ),
    (
        "best ones are still at an end: on the autoencoder `beta_2` of Adam "
        "and `curvature_ema` of K-FAC (both 0.8, the lowest), `damping` of "
        '`"auto"` and `momentum` of the port, on the classifier `momentum` of '
        "`LocoProp()` and of the port, `beta_2` of Lion and of Shampoo.",
        lambda: (
            settings_at_an_end("mnist")
            == {
                ("Adam", "beta_2"),
                (KFAC, "curvature_ema"),
                (AUTO, "damping"),
                (PORT, "momentum"),
            }
            and settings_at_an_end("classifier")
            == {
                (OURS, "momentum"),
                (PORT, "momentum"),
                ("Lion", "beta_2"),
                (SHAMPOO, "beta_2"),
            }
        ),
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
