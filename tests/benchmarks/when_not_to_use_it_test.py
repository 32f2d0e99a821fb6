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
from tests.recorded_results import rows_of
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


def lead_of_kfac(problem):
    """Over `"auto"`, in percent of its train loss at equal epochs."""
    found = medians(FINAL, problem)
    return 100 * (found[AUTO] / found[KFAC] - 1)


def train_losses_of_auto_on_the_transformer():
    """Of each of its runs those at the start and after each epoch."""
    return [
        [point["train_loss"] for point in row["points"]]
        for row in rows_of()
        for who in [row["configuration"]]
        if who["problem"] == "transformer"
        and who["optimizer"] == AUTO
        and who["purpose"] in (FINAL, SECONDS)
    ]


def final_test_losses_on_a_gpu(*optimizers):
    return [
        points[-1]["test_loss"]
        for name in optimizers
        for points in headlines_on_a_gpu(name)
    ]


# What it says, and why it is so.
VERDICTS = [
    (
        "After three epochs `LocoProp()` is level with Adam and AdamW on the "
        "convolutional network by train loss, in twice their seconds, behind "
        "them by test loss, and behind them by both on the transformer.",
        lambda: all(
            is_level(OURS, other, FINAL, "convolutional")
            and 1.7
            < times_the_seconds(OURS, other, FINAL, "convolutional")
            < 2.3
            and is_ahead(other, OURS, FINAL, "convolutional", "test_loss")
            and is_ahead(other, OURS, FINAL, "transformer")
            and is_ahead(other, OURS, FINAL, "transformer", "test_loss")
            for other in ("Adam", "AdamW")
        ),
    ),
    (
        "on the transformer K-FAC alone of all others is behind `LocoProp()`. "
        'There `"auto"` comes last: after the first epoch its train loss '
        "rises.",
        lambda: (
            set(order(SECONDS, "transformer")[9:])
            == {OURS, PAPER, SQUARED, KFAC, AUTO}
            and order(SECONDS, "transformer")[9] == OURS
            and all(
                order(purpose, "transformer")[-1] == AUTO
                for purpose in (FINAL, SECONDS)
            )
            and all(
                losses[1] < min(losses[2:])
                for losses in train_losses_of_auto_on_the_transformer()
            )
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
        'At about equal seconds `"auto"` has the best mean place '
        "([table](benchmarks/results/comparison.md)), but is twelfth on the "
        "convolutional network, where Muon is second, and last on the "
        "transformer.",
        lambda: (
            len(problems_with(SECONDS)) == 8
            and min(mean_places(SECONDS), key=mean_places(SECONDS).get) == AUTO
            and order(SECONDS, "convolutional").index(AUTO) == 11
            and order(SECONDS, "convolutional").index("Muon") == 1
            and order(SECONDS, "transformer")[-1] == AUTO
        ),
    ),
    (
        "K-FAC passes `LocoProp()`, and so does Muon if it is tuned (on the "
        "classifier, too); and K-FAC, in",
        lambda: (
            all(
                is_ahead(other, OURS, FINAL, problem)
                for other in (KFAC, "Muon")
                for problem in AUTOENCODERS
            )
            and is_ahead("Muon", OURS, FINAL, "classifier")
            and trial_losses("Muon", "mnist")[0]
            > trial_losses(OURS, "mnist")[0]
        ),
    ),
    (
        "is level with it (on MNIST, and on the wide one) or up to six percent "
        "ahead.",
        lambda: (
            [lead_of_kfac(p) for p in AUTOENCODERS if lead_of_kfac(p) < 1]
            == [lead_of_kfac(problem) for problem in ("mnist", "wide")]
            and min(map(lead_of_kfac, AUTOENCODERS)) > 0
            and round(max(map(lead_of_kfac, AUTOENCODERS))) == 6
        ),
    ),
    (
        "The PyTorch port is ahead of `LocoProp()` with ReLU and on the deep "
        "one, in about three to four times its seconds.",
        lambda: all(
            is_ahead(PORT, OURS, FINAL, problem)
            and round(times_the_seconds(PORT, OURS, FINAL, problem)) in (3, 4)
            for problem in ("relu", "deep")
        ),
    ),
    (
        'SOAP, in twice the seconds of `"auto"`, or the paper\'s two forms, '
        "which went lower there than `LocoProp()`, tuned or not, and "
        '`LocoProp.paper(variant="squared")` lower than `"auto"`, with more '
        "errors on new images than either.",
        lambda: (
            order(FINAL, "classifier")[:2] == [SOAP, SQUARED]
            and 1.7 < times_the_seconds(SOAP, AUTO, FINAL, "classifier") < 2.3
            and all(
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
        "At equal epochs the paper's two forms went lower than `LocoProp()` on "
        "the five autoencoders, too, in about two to four times its seconds.",
        lambda: all(
            is_ahead(other, OURS, FINAL, problem)
            and 2 < times_the_seconds(other, OURS, FINAL, problem) < 4.2
            for other in (PAPER, SQUARED)
            for problem in AUTOENCODERS
        ),
    ),
    (
        "Adam, AdamW and Adafactor, tuned, had an accuracy of 0.3 to 0.4 "
        "percentage points more than `LocoProp()` on new images, and all that "
        "are no form of LocoProp a lower test loss;",
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
        '; `"auto"` had the fewest errors there, and the lowest test loss.',
        lambda: (
            order(SECONDS, "classifier", "test_accuracy", ascending=False)[0]
            == order(SECONDS, "classifier", "test_loss")[0]
            == AUTO
        ),
    ),
    (
        "Adam had the lowest test loss, K-FAC one below that of "
        '`"auto"`, and `LocoProp()` the highest:',
        lambda: (
            order(HEADLINE, "mnist", "test_loss")[0] == "Adam"
            and order(HEADLINE, "mnist", "test_loss")[-1] == OURS
            and is_ahead(KFAC, AUTO, HEADLINE, "mnist", "test_loss")
            and max(final_test_losses_on_a_gpu("Adam"))
            < min(final_test_losses_on_a_gpu(OURS, AUTO, PAPER, SQUARED))
        ),
    ),
]


@pytest.mark.parametrize(("sentence", "holds"), VERDICTS)
def test_a_verdict_is_that_of_the_results(sentence, holds):
    assert sentence in words_of("README.md")
    assert holds()
