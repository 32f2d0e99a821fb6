"""Sentences of README.md on when not to use it."""

import statistics

import pytest

from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.tasks import TASKS
from tests.recorded_results import AUTO
from tests.recorded_results import FINAL
from tests.recorded_results import HEADLINE
from tests.recorded_results import KFAC
from tests.recorded_results import OURS
from tests.recorded_results import PAPER
from tests.recorded_results import PORT
from tests.recorded_results import SECONDS
from tests.recorded_results import SOAP
from tests.recorded_results import SQUARED
from tests.recorded_results import headlines_on_a_gpu
from tests.recorded_results import is_ahead
from tests.recorded_results import is_level
from tests.recorded_results import medians
from tests.recorded_results import order
from tests.recorded_results import problems_with
from tests.recorded_results import spread
from tests.recorded_results import times_the_seconds
from tests.recorded_results import trial_losses
from tests.recorded_results import words_of

AUTOENCODERS = [
    problem for problem, task in TASKS.items() if task.targets == "inputs"
]


def mean_places(purpose):
    """Optimizer: mean place by train loss, of those that are everywhere."""
    orders = [order(purpose, problem) for problem in problems_with(purpose)]
    return {
        name: statistics.mean(each.index(name) for each in orders)
        for name in PEERS
        if all(name in each for each in orders)
    }


def first_trial_beats_all_others(optimizer, problem):
    [first, *_] = trial_losses(optimizer, problem)
    return all(
        first < min(trial_losses(other, problem))
        for other in PEERS
        if other != optimizer
    )


def final_test_losses_on_a_gpu(*optimizers):
    return [
        points[-1]["test_loss"]
        for name in optimizers
        for points in headlines_on_a_gpu(name)
    ]


# What it says, and why it is so.
VERDICTS = [
    (
        "kfac-jax passes `LocoProp()`, and so does Muon if it is tuned",
        lambda: (
            all(
                is_ahead(other, OURS, FINAL, "mnist")
                for other in (KFAC, "Muon")
            )
            and trial_losses("Muon", "mnist")[0]
            > trial_losses(OURS, "mnist")[0]
        ),
    ),
    (
        'a tuned K-FAC is level with `"auto"` or a hair ahead, in about twice '
        "its seconds;",
        lambda: (
            1.7 < times_the_seconds(KFAC, AUTO, FINAL, "mnist") < 2.3
            and is_level(KFAC, AUTO, FINAL, "mnist")
            and is_ahead(KFAC, AUTO, FINAL, "mnist")
        ),
    ),
    (
        "on Fashion-MNIST, after two, K-FAC and Muon are one to two percent "
        "ahead,",
        lambda: all(
            0.01 < found[AUTO] / found[other] - 1 < 0.02
            for found in [medians(FINAL, "fashion")]
            for other in (KFAC, "Muon")
        ),
    ),
    (
        "and differ less from seed to seed;",
        lambda: all(
            found[other] < found[AUTO]
            for found in [spread(FINAL, "fashion")]
            for other in (KFAC, "Muon")
        ),
    ),
    (
        "with ReLU they are two to six percent ahead,",
        lambda: (
            [
                round(100 * (found[AUTO] / found[other] - 1))
                for found in [medians(FINAL, "relu")]
                for other in ("Muon", KFAC)
            ]
            == [2, 6]
        ),
    ),
    (
        "on the deep one K-FAC is two percent ahead, in 1.8 times its seconds.",
        lambda: (
            [
                round(100 * (found[AUTO] / found[KFAC] - 1))
                for found in [medians(FINAL, "deep")]
            ]
            == [2]
            and round(times_the_seconds(KFAC, AUTO, FINAL, "deep"), 1) == 1.8
            and is_ahead(AUTO, "Muon", FINAL, "deep")
        ),
    ),
    (
        "On the wide one, after one epoch, K-FAC is level with it, in 1.7 "
        "times its seconds.",
        lambda: (
            is_level(KFAC, AUTO, FINAL, "wide")
            and round(times_the_seconds(KFAC, AUTO, FINAL, "wide"), 1) == 1.7
        ),
    ),
    (
        'In about the seconds of `"auto"` neither gets as far on the other '
        "four.",
        lambda: all(
            is_ahead(AUTO, other, SECONDS, problem)
            for problem in AUTOENCODERS
            if problem != "wide"
            for other in (KFAC, "Muon")
        ),
    ),
    (
        "With ReLU and on the deep one the PyTorch port is ahead of "
        "`LocoProp()`, in about three to four times its seconds.",
        lambda: all(
            is_ahead(PORT, OURS, FINAL, problem)
            and round(times_the_seconds(PORT, OURS, FINAL, problem)) in (3, 4)
            for problem in ("relu", "deep")
        ),
    ),
    (
        "After a hundred epochs on MNIST K-FAC's train loss is behind that of "
        '`"auto"`, and its test loss ahead.',
        lambda: (
            is_ahead(AUTO, KFAC, HEADLINE, "mnist")
            and is_ahead(KFAC, AUTO, HEADLINE, "mnist", "test_loss")
        ),
    ),
    (
        "Where the training loss of a classifier after three epochs is all "
        "that counts, and not the time, SOAP goes lowest, even with its "
        "defaults, in twice the seconds of "
        '`"auto"`',
        lambda: (
            order(FINAL, "classifier")[0] == SOAP
            and first_trial_beats_all_others(SOAP, "classifier")
            and 1.7 < times_the_seconds(SOAP, AUTO, FINAL, "classifier") < 2.3
        ),
    ),
    (
        "Muon and the PyTorch port of LocoProp, if they are tuned, go lower "
        "than `LocoProp()`.",
        lambda: all(
            is_ahead(other, OURS, FINAL, "classifier")
            for other in ("Muon", PORT)
        ),
    ),
    (
        'In about the seconds of `"auto"` none of them gets as far as it.',
        lambda: all(
            is_ahead(AUTO, other, SECONDS, "classifier")
            for other in (SOAP, "Muon", PORT)
        ),
    ),
    (
        "take the paper's two forms: they went lower there than `LocoProp()`, "
        'tuned or not, and `LocoProp.paper(variant="squared")` lower than '
        '`"auto"`, with more errors on new images than either.',
        lambda: (
            all(
                is_ahead(other, OURS, FINAL, "classifier")
                and trial_losses(other, "classifier")[0]
                < min(trial_losses(OURS, "classifier"))
                for other in (PAPER, SQUARED)
            )
            and is_ahead(SQUARED, AUTO, FINAL, "classifier")
            and all(
                is_ahead(SQUARED, other, FINAL, "classifier", "test_accuracy")
                for other in (OURS, AUTO)
            )
        ),
    ),
    (
        "At equal epochs both went lower than `LocoProp()` on the five "
        "autoencoders, too, in about two to four times its seconds.",
        lambda: all(
            is_ahead(other, OURS, FINAL, problem)
            and 2 < times_the_seconds(other, OURS, FINAL, problem) < 4.2
            for other in (PAPER, SQUARED)
            for problem in AUTOENCODERS
        ),
    ),
    (
        "after 100 epochs on the autoencoder Adam had the lowest test loss.",
        lambda: (
            order(HEADLINE, "mnist", "test_loss")[0] == "Adam"
            and max(final_test_losses_on_a_gpu("Adam"))
            < min(final_test_losses_on_a_gpu(OURS, AUTO, PAPER, SQUARED))
        ),
    ),
    (
        "Adam, AdamW and Adafactor, tuned, had an accuracy of 0.3 to 0.4 "
        "percentage points more than `LocoProp()` on new images, and all that "
        "are no form of LocoProp a lower test loss.",
        lambda: (
            all(
                0.25 < 100 * (right[other] - right[OURS]) < 0.45
                for right in [medians(SECONDS, "classifier", "test_accuracy")]
                for other in ("Adam", "AdamW", "Adafactor")
            )
            and all(
                is_ahead(other, OURS, SECONDS, "classifier", "test_loss")
                for other, peer in PEERS.items()
                if not peer.is_ours and other != PORT
            )
        ),
    ),
    (
        '(`"auto"` had the fewest errors there, and the lowest test loss.)',
        lambda: (
            order(SECONDS, "classifier", "test_accuracy", ascending=False)[0]
            == order(SECONDS, "classifier", "test_loss")[0]
            == AUTO
        ),
    ),
    (
        "Muon has the best mean place over the eight problems, ahead of all of "
        "ours;",
        lambda: (
            len(problems_with(FINAL)) == 8
            and min(mean_places(FINAL), key=mean_places(FINAL).get) == "Muon"
        ),
    ),
    (
        "on the transformer all but K-FAC that are no form of LocoProp come to "
        "0.40 (SOAP, in half the seconds) to 0.61 (Adam),",
        lambda: (
            [order(SECONDS, "transformer")[place] for place in (0, 8, 9, -1)]
            == [SOAP, "Adam", OURS, AUTO]
            and set(order(SECONDS, "transformer")[9:])
            == {OURS, PAPER, SQUARED, KFAC, AUTO}
            and 0.4
            < times_the_seconds(SOAP, AUTO, SECONDS, "transformer")
            < 0.6
        ),
    ),
    (
        'At about equal seconds `"auto"` has the best mean place, but is '
        "twelfth on the convolutional network, where Muon is second, and last "
        "on the transformer.",
        lambda: (
            len(problems_with(SECONDS)) == 8
            and min(mean_places(SECONDS), key=mean_places(SECONDS).get) == AUTO
            and order(SECONDS, "convolutional").index(AUTO) == 11
            and order(SECONDS, "convolutional").index("Muon") == 1
            and order(SECONDS, "transformer")[-1] == AUTO
        ),
    ),
    (
        "after three epochs `LocoProp()` is level with Adam and AdamW on the "
        "convolutional network by train loss, in twice their seconds, behind "
        "them by test loss, and behind them by both on the transformer; Muon "
        "is ahead of it on both, and SOAP furthest. On the convolutional "
        'network `LocoProp.paper(variant="squared")` is level with SOAP by '
        "train loss, and the PyTorch port is ahead of `LocoProp()`, in five to "
        "six times its seconds. "
        '`"auto"` comes last on the transformer.',
        lambda: (
            all(
                is_level(OURS, other, FINAL, "convolutional")
                and 1.7
                < times_the_seconds(OURS, other, FINAL, "convolutional")
                < 2.3
                and is_ahead(other, OURS, FINAL, "convolutional", "test_loss")
                and is_ahead(other, OURS, FINAL, "transformer")
                and is_ahead(other, OURS, FINAL, "transformer", "test_loss")
                for other in ("Adam", "AdamW")
            )
            and all(
                is_ahead("Muon", OURS, FINAL, problem)
                and SOAP in order(FINAL, problem)[:2]
                for problem in ("convolutional", "transformer")
            )
            and is_level(SQUARED, SOAP, FINAL, "convolutional")
            and is_ahead(PORT, OURS, FINAL, "convolutional")
            and 5 < times_the_seconds(PORT, OURS, FINAL, "convolutional") < 6
            and order(FINAL, "transformer")[-1] == AUTO
        ),
    ),
]


@pytest.mark.parametrize(("sentence", "holds"), VERDICTS)
def test_a_verdict_is_that_of_the_results(sentence, holds):
    assert sentence in words_of("README.md")
    assert holds()
