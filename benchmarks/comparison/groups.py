"""Rows chosen, grouped and ranked, for tables and pictures."""

import statistics

from benchmarks.comparison import tuning
from benchmarks.comparison.cells import text_of


def chosen_rows(rows, **wanted):
    """Those whose configuration has these values, and that have any points."""
    return [
        row
        for row in rows
        if wanted.items() <= row["configuration"].items() and row["points"]
    ]


def grouped(rows, *names):
    """Lists of rows that have the same values of these names."""
    groups = {}
    for row in rows:
        key = text_of([row["configuration"][name] for name in names])
        groups.setdefault(key, []).append(row)
    return groups.values()


def best_of_each(groups):
    """Optimizer: the first of its groups, in their order."""
    best = {}
    for runs in groups:
        best.setdefault(runs[0]["configuration"]["optimizer"], runs)
    return best


def by_median_loss(runs):
    """A key to sort groups by: the median of their last losses."""
    loss = statistics.median(tuning.score(row) for row in runs)
    return loss, text_of(runs[0]["configuration"])


def usual_processor(rows):
    """The one on which most optimizers, with a setting each, were run."""
    groups = grouped(rows, "optimizer", "settings", "batch_size")
    ran = [
        processor
        for runs in groups
        for processor in {row["processor"] for row in runs}
    ]
    return min(statistics.multimode(ran))


def run_on(processor, rows):
    """The rows whose seconds can be compared: one processor's."""
    return [row for row in rows if row["processor"] == processor]
