"""The tables of the headline: losses at some epochs, and seconds to a loss."""

from benchmarks.comparison.cells import COST_HEADER
from benchmarks.comparison.cells import MISSING
from benchmarks.comparison.cells import cost_cells
from benchmarks.comparison.cells import crossing_cell
from benchmarks.comparison.cells import finite_or_infinite
from benchmarks.comparison.cells import last_values
from benchmarks.comparison.cells import markdown_table
from benchmarks.comparison.cells import optimizer_cell
from benchmarks.comparison.cells import seeds_cell
from benchmarks.comparison.cells import settings_cell
from benchmarks.comparison.cells import spread_cell
from benchmarks.comparison.groups import by_median_loss
from benchmarks.comparison.groups import grouped
from benchmarks.comparison.groups import run_on
from benchmarks.comparison.groups import usual_processor

EPOCHS = (2, 5, 10, 25, 50, 100)
LOSSES = (70, 60, 57, 55, 53, 52, 51)
# Same network, data and batch size. (who, train loss)
KNOWN = (
    ("Shampoo, as published in the paper", "50.70"),
    ("Adam and RMSProp, by word of mouth", "about 53 to 54"),
    ("LocoProp-M, the authors' own run, at epoch 14", "57.0"),
)


def losses_table(rows):
    """Training losses after some of the epochs, and what they took.

    Args:
        rows: The headline's rows. Seconds are of those on the processor that
            most optimizers were run on.

    Returns:
        String, Markdown.
    """
    longest = max(row["points"][-1]["epoch"] for row in rows)
    epochs = [epoch for epoch in EPOCHS if epoch <= longest]
    header = ["optimizer", "batch size", "seeds"]
    header += [f"epoch {epoch}" for epoch in epochs]
    header += ["test loss", *COST_HEADER]
    lines = []
    for runs, timed in _ranked(rows):
        cells = _first_cells(runs)
        for epoch in epochs:
            found = [
                finite_or_infinite(point["train_loss"])
                for row in runs
                for point in row["points"]
                if point["epoch"] == epoch
            ]
            cells += [spread_cell(found) if found else MISSING]
        cells += [spread_cell(last_values(runs, "test_loss"))]
        lines.append(cells + cost_cells(runs, timed))
    return markdown_table(header, lines)


def seconds_table(rows):
    """Seconds and epochs to some training losses.

    Args:
        rows: As in `losses_table`.

    Returns:
        String, Markdown.
    """
    header = ["optimizer", "batch size", "seeds", *map(str, LOSSES), "settings"]
    lines = [
        [
            *_first_cells(timed),
            *(crossing_cell(timed, loss) for loss in LOSSES),
            settings_cell(timed[0]["configuration"]["settings"]),
        ]
        for _, timed in _ranked(rows)
        if timed
    ]
    return markdown_table(header, lines)


def known_figures():
    """What others have reached, as a list in Markdown."""
    return "".join(f"- {who}: {loss}\n" for who, loss in KNOWN)


def _ranked(rows):
    """Pairs: the runs of an optimizer with a setting, and the timed ones."""
    processor = usual_processor(rows)
    groups = sorted(grouped(rows, "optimizer", "settings"), key=by_median_loss)
    return [(runs, run_on(processor, runs)) for runs in groups]


def _first_cells(runs):
    configuration = runs[0]["configuration"]
    return [
        optimizer_cell(configuration["optimizer"]),
        str(configuration["batch_size"]),
        seeds_cell(runs),
    ]
