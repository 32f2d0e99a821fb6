"""Tables and curves of `time_to_loss`."""

import math

from benchmarks.comparison.cells import crossing
from benchmarks.comparison.cells import crossing_cell
from benchmarks.comparison.tasks import TASKS

THRESHOLDS = {
    "mnist": (120, 80, 70, 65, 60, 58),
    "classifier": (0.3, 0.2, 0.1, 0.05),
}
# Losses and epoch that the README's tables show.
_SUMMARIES = {
    "mnist": ((70, 65, 60, 58), 3),
    "classifier": ((0.3, 0.2, 0.1, 0.05), 5),
}
_LIMITS = {"mnist": (56, 150), "classifier": (0.015, 0.6)}
_TICKS = {
    "mnist": (56, 60, 65, 70, 80, 100, 120, 150),
    "classifier": (0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5),
}
_PEER = "kfac-jax"
# By what a name begins with; as in the comparison's pictures.
_COLOURS = {
    "Adam": "#1f77b4",
    _PEER: "#2ca02c",
    "LocoProp()": "#ff7f0e",
    "LocoProp.paper()": "#8c564b",
    'LocoProp("auto")': "#d62728",
    'LocoProp("auto", use_ema': "#9467bd",
    'LocoProp("auto", output_scaling': "#7f7f7f",
}


_INTRODUCTION = """\
# Seconds to a training loss

Written by `python -m benchmarks.time_to_loss` from `time_to_loss.jsonl`; see
[the benchmarks' README](../README.md). Seconds (epochs) until the loss on the
whole training set is below each of the losses, looked at every quarter of an
epoch, or in how many epochs it was not; and the losses at the end.
"""


def tables(rows):
    """Markdown: for each problem seconds (epochs) to each loss, by run."""
    parts = [
        f"## {TASKS[problem].title}\n\n{_table(of_problem, problem)}\n"
        for problem, of_problem in _by_problem(rows)
    ]
    return "\n".join([_INTRODUCTION, *parts])


def summaries(rows):
    """Shorter tables: the best setting of a peer, the fastest first.

    Returns:
        Dict of problems: Markdown.
    """
    return {
        problem: _summary(of_problem, problem) + "\n"
        for problem, of_problem in _by_problem(rows)
    }


def draw(rows, path):
    """Draws the training loss against epochs and seconds, for each problem."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib import ticker

    problems = list(_by_problem(rows))
    figure, panels = pyplot.subplots(
        len(problems),
        2,
        figsize=(11, 3.8 * len(problems)),
        squeeze=False,
        sharey="row",
    )
    for (problem, of_problem), row_of_panels in zip(problems, panels):
        for panel, axis in zip(row_of_panels, ("epoch", "seconds")):
            for row in _to_draw(of_problem):
                name, size = row["name"].split(", B=")[0], row["batch_size"]
                name += _place(row)
                is_ours = name.startswith("LocoProp")
                points = [p for p in row["points"] if p["epoch"] > 0]
                panel.plot(
                    [point[axis] for point in points],
                    [point["train_loss"] for point in points],
                    label=f"{name}, batches of {size}",
                    color=_colour(name),
                    linewidth=2.2 if is_ours else 1.4,
                    linestyle=_style(is_ours, row, TASKS[problem]),
                )
            panel.set_yscale("log")
            panel.set_ylim(*_LIMITS[problem])
            panel.set_xlim(left=0)
            panel.set_xlabel("seconds" if axis == "seconds" else "epochs")
            panel.yaxis.set_major_locator(ticker.FixedLocator(_TICKS[problem]))
            panel.yaxis.set_major_formatter("{x:g}")
            panel.yaxis.set_minor_locator(ticker.NullLocator())
            panel.grid(alpha=0.3)
        row_of_panels[0].set_ylabel("training loss (cross-entropy)")
        row_of_panels[0].set_title(TASKS[problem].title, loc="left")
        row_of_panels[1].legend(
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            fontsize=8.5,
            frameon=False,
        )
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _colour(name):
    # The longest beginning is the most special.
    known = [start for start in _COLOURS if name.startswith(start)]
    return _COLOURS[max(known, key=len)] if known else "black"


def _style(is_ours, row, task):
    if _place(row):
        return "-."
    if row["batch_size"] != task.batch_size:
        return ":"
    return "-" if is_ours else "--"


def _place(row):
    """Where a run was, unless it was on TensorFlow, as the first ones were."""
    backend = row.get("backend") or "tensorflow"
    return "" if backend == "tensorflow" else f", on {backend}"


def _by_problem(rows):
    for problem in THRESHOLDS:
        of_problem = [row for row in rows if row["problem"] == problem]
        if of_problem:
            yield problem, of_problem


def _to_draw(rows):
    """All runs; of the settings of a peer the first at the lowest losses."""
    peers = [row for row in rows if row["name"].startswith(_PEER)]
    best = min(peers, key=_seconds, default=None)
    return [row for row in rows if row not in peers or row is best]


def _seconds(row):
    found = [
        crossing(row["points"], threshold)
        for threshold in reversed(THRESHOLDS[row["problem"]])
    ]
    return [point["seconds"] if point else math.inf for point in found]


def _table(rows, problem):
    thresholds = THRESHOLDS[problem]
    header = ["optimizer", "batch size", *map(str, thresholds), "last"]
    lines = [header, ["---"] * len(header)]
    for row in rows:
        last = row["points"][-1]
        cells = [f"`{row['name']}`{_place(row)}", str(row["batch_size"])]
        cells += [crossing_cell([row], threshold) for threshold in thresholds]
        cells.append(
            f"{_losses(last)}, {last['seconds']:.0f} s ({last['epoch']:g})"
        )
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _summary(rows, problem):
    thresholds, epoch = _SUMMARIES[problem]
    header = ["optimizer", "batch size", *map(str, thresholds)]
    header.append(f"after {epoch} epochs: train loss, test")
    lines = [header, ["---"] * len(header)]
    for row in sorted(_to_draw(rows), key=_seconds):
        name = row["name"].split(", B=")[0]
        cells = [f"`{name}`{_place(row)}", str(row["batch_size"])]
        cells += [crossing_cell([row], threshold) for threshold in thresholds]
        cells += [_losses(p) for p in row["points"] if p["epoch"] == epoch]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _losses(point):
    test = f"test {point['test_loss']:.4g}"
    if "test_accuracy" in point:
        test = f"test {100 * point['test_accuracy']:.1f} %"
    return f"{point['train_loss']:.4g}, {test}"
