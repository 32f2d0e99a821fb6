"""Verdicts in README.md, but for those on when not to use it."""

import pytest

from benchmarks import stability
from benchmarks.comparison.cells import crossing
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
from tests.recorded_results import SQUARED
from tests.recorded_results import ends
from tests.recorded_results import medians
from tests.recorded_results import order
from tests.recorded_results import rows_of
from tests.recorded_results import spread
from tests.recorded_results import times_the_seconds
from tests.recorded_results import trials_everywhere
from tests.recorded_results import words_of


def rates_tried(problem, optimizer):
    rate, *_ = PEERS[optimizer].retuned
    return {
        row["configuration"]["settings"][rate]
        for row in trials_everywhere(problem, optimizer)
    }


def cost_of_auto(width, batch_size):
    """Seconds of a step over those of Adam's."""
    point = {"width": width, "batch size": batch_size, "depth": 3}
    seconds = {
        row["solver"]: row["seconds"]
        for row in rows_of("solver_cost")
        if row["point"] == point
    }
    return seconds["auto, full"] / seconds["Adam"]


def k_fac_headline(curvature_ema):
    [points] = [
        row["points"]
        for row in rows_of()
        if row["configuration"]["purpose"] == HEADLINE
        and row["configuration"]["optimizer"] == KFAC
        and row["configuration"]["settings"]["curvature_ema"] == curvature_ema
    ]
    return points


def k_fac_at_100(curvature_ema):
    return k_fac_headline(curvature_ema)[-1]["train_loss"]


def k_fac_seconds_to(loss, curvature_ema):
    return crossing(k_fac_headline(curvature_ema), loss)["seconds"]


def stuck_at_equal_seconds(optimizer):
    """Runs in which nothing is learnt but the mean image."""
    losses = ends(SECONDS, "mnist", "train_loss")[optimizer]
    return sum(loss > 200 for loss in losses)


# What README.md says, and why it is so.
VERDICTS = [
    (
        "Each had 12 or more trials of 3 epochs on the autoencoder, at a batch "
        "size of 1000 (the PyTorch port 9), and on the classifier,",
        lambda: all(
            number >= 12 or (number, problem, optimizer) == (9, "mnist", PORT)
            for problem in ("mnist", "classifier")
            for optimizer in PEERS
            for number in [len(trials_everywhere(problem, optimizer))]
        ),
    ),
    (
        "From its best setting there it had trials of four to six rates (or "
        "dampings) on each of the others",
        lambda: all(
            4 <= len(rates_tried(problem, optimizer)) <= 6
            for problem, task in TASKS.items()
            for optimizer, peer in PEERS.items()
            if task.tuned_on and problem not in peer.unsupported
        ),
    ),
    (
        "On the classifier the four highest test losses are those of "
        "`LocoProp()`, of the paper's forms and of the port.",
        lambda: (
            set(order(FINAL, "classifier", "test_loss")[-4:])
            == {OURS, PAPER, SQUARED, PORT}
        ),
    ),
    (
        "Five of the eight problems are one autoencoder and its variants, on "
        "which ours was developed, and five of the fifteen optimizers are "
        "forms of LocoProp",
        lambda: (
            (len(TASKS), len(PEERS)) == (8, 15)
            and sum(task.targets == "inputs" for task in TASKS.values()) == 5
            and sum(peer.is_ours for peer in PEERS.values()) + 1 == 5
        ),
    ),
    (
        "Some neighbours are closer than the range of their seeds.",
        lambda: (
            order(FINAL, "mnist")[:2] == [KFAC, AUTO]
            and medians(FINAL, "mnist")[AUTO] - medians(FINAL, "mnist")[KFAC]
            < spread(FINAL, "mnist")[AUTO]
        ),
    ),
    (
        'Of 405 small networks that `LocoProp("auto")` trained from good and '
        "bad first weights, at three batch sizes, none diverged",
        lambda: (
            len(rows_of("stability")) == 405
            and not any(map(stability.has_diverged, rows_of("stability")))
        ),
    ),
    (
        "A step takes two to three times as long as Adam's on the autoencoder, "
        "more with few outputs, on small batches (eight times at 64) and in "
        "wide layers (seven times at 4096);",
        lambda: (
            all(
                1.9 < times_the_seconds(AUTO, "Adam", purpose, "mnist") < 3
                for purpose in (FINAL, HEADLINE)
            )
            and round(cost_of_auto(1024, 64)) == 8
            and round(cost_of_auto(4096, 1024)) == 7
        ),
    ),
    (
        "K-FAC's best average of the curvature, over about five steps, seemed "
        "to be such a one: with its library's, over about twenty, it comes to "
        "about the same, and does not get anywhere sooner.",
        lambda: (
            k_fac_at_100(0.95) == pytest.approx(k_fac_at_100(0.8), rel=0.005)
            and all(
                k_fac_seconds_to(loss, 0.95) > k_fac_seconds_to(loss, 0.8)
                for loss in (70, 60, 57, 55)
            )
        ),
    ),
    (
        "over seven epochs of the MNIST autoencoder they leave Lion and two of "
        "three runs of SGD stuck.",
        lambda: (
            stuck_at_equal_seconds("Lion") == 3
            and stuck_at_equal_seconds("SGD, momentum") == 2
        ),
    ),
    (
        "the lowest loss per second of all that is measured below; at 128, on "
        'a classifier, `LocoProp.paper(variant="squared")` goes lower.',
        lambda: (
            order(SECONDS, "mnist")[0] == AUTO
            and order(SECONDS, "fashion")[0] == AUTO
            and order(SECONDS, "classifier")[0] == SQUARED
        ),
    ),
]


@pytest.mark.parametrize(("sentence", "holds"), VERDICTS)
def test_a_verdict_is_that_of_the_results(sentence, holds):
    assert sentence in words_of("README.md")
    assert holds()
