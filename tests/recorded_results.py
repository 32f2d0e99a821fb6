"""The committed results, for tests of what the documents say of them."""

import statistics
from pathlib import Path

from benchmarks import records
from benchmarks.comparison import plots
from benchmarks.comparison import tuning
from benchmarks.comparison.cells import last_values
from benchmarks.comparison.tasks import TASKS

ROOT = Path(__file__).parents[1]
OURS, AUTO = "LocoProp()", 'LocoProp("auto")'
PAPER, SQUARED = "LocoProp.paper()", 'LocoProp.paper(variant="squared")'
KFAC, SOAP = "K-FAC (kfac-jax)", "SOAP (pytorch_optimizer)"
SHAMPOO, PORT = "Shampoo (pytorch_optimizer)", "locoprop (PyTorch port)"
FINAL, SECONDS, HEADLINE = "final", "final_seconds", "headline"
# Of two losses that a sentence calls level.
LEVEL = 0.03


def rows_of(name="comparison"):
    rows = records.read_lines(ROOT / "benchmarks/results" / f"{name}.jsonl")
    assert rows, f"{name}.jsonl is empty"
    return rows


def ends(purpose, problem, value):
    """Optimizer: list of what the runs with its better settings end with.

    A headline's seconds are of the processor that most optimizers were on.
    """
    runs = plots.by_curve(
        row
        for row in rows_of()
        if row["configuration"]["purpose"] == purpose
        and row["configuration"]["problem"] == problem
    )
    if purpose == HEADLINE and value == "seconds":
        runs = plots.on_one_processor(runs)
    runs = plots.of_best_settings(runs)
    return {
        optimizer: last_values(rows, value)
        for (optimizer, _, _), rows in runs.items()
    }


def problems_with(purpose):
    """Those with such runs, in the order of the tables."""
    return [problem for problem in TASKS if ends(purpose, problem, "seconds")]


def medians(purpose, problem, value="train_loss"):
    """Optimizer: median over seeds of what its runs end with."""
    found = ends(purpose, problem, value)
    return {name: statistics.median(runs) for name, runs in found.items()}


def wall_clock(purpose, problem, per_epoch=False):
    """Optimizer: median seconds of its runs."""
    seconds = medians(purpose, problem, "seconds")
    epochs = medians(purpose, problem, "epoch")
    return {
        name: taken / (epochs[name] if per_epoch else 1)
        for name, taken in seconds.items()
    }


def smallest_and_largest(values):
    return min(values), max(values)


def headlines_on_a_gpu(optimizer):
    return [
        row["points"]
        for row in rows_of("comparison_on_gpu")
        if row["configuration"]["purpose"] == "headline"
        and row["configuration"]["optimizer"] == optimizer
    ]


def spread(purpose, problem):
    """Optimizer: largest minus smallest train loss over seeds."""
    losses = ends(purpose, problem, "train_loss")
    return {name: max(runs) - min(runs) for name, runs in losses.items()}


def order(*where, ascending=True):
    """Names, the best first."""
    found = medians(*where)
    return sorted(found, key=found.get, reverse=not ascending)


def is_ahead(first, second, *where):
    found = medians(*where)
    return found[first] < found[second]


def is_level(first, second, *where):
    found = medians(*where)
    return abs(found[first] / found[second] - 1) < LEVEL


def times_the_seconds(first, second, *where):
    found = medians(*where, "seconds")
    return found[first] / found[second]


def at_a_batch_size(optimizer, batch_size):
    """Train loss and seconds of an ablation."""
    [last] = [
        row["points"][-1]
        for row in rows_of()
        for who in [row["configuration"]]
        if who.get("table") == "batch size"
        and (who["optimizer"], who["batch_size"]) == (optimizer, batch_size)
    ]
    return last["train_loss"], last["seconds"]


def trial_losses(optimizer, problem, on_a_gpu=False):
    """In the order of the trials."""
    rows = rows_of("comparison_on_gpu" if on_a_gpu else "comparison")
    trials = tuning.trials_of(rows, problem, optimizer)
    return list(map(tuning.score, trials))


def best_setting(optimizer, problem):
    """That of the trials on two cores and on the GPU."""
    best = min(trials_everywhere(problem, optimizer), key=tuning.score)
    return best["configuration"]["settings"]


def trials_everywhere(problem, optimizer):
    """Those of two cores and those of the GPU."""
    rows = [*rows_of(), *rows_of("comparison_on_gpu")]
    return tuning.trials_of(rows, problem, optimizer)


def words_of(document):
    """The text of a document, wherever its lines end."""
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())
