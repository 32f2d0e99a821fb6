"""The curves of the comparison: loss against epochs and against seconds."""

import statistics

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib import ticker  # noqa: E402

from benchmarks.comparison import experiments  # noqa: E402
from benchmarks.comparison.cells import text_of  # noqa: E402
from benchmarks.comparison.groups import run_on  # noqa: E402
from benchmarks.comparison.groups import usual_processor  # noqa: E402
from benchmarks.comparison.peers import PEERS  # noqa: E402
from benchmarks.comparison.tasks import TASKS  # noqa: E402

COLOURS = {
    'LocoProp("auto")': "#d62728",
    "LocoProp()": "#ff7f0e",
    "LocoProp.paper()": "#8c564b",
    'LocoProp.paper(variant="squared")': "#e377c2",
    "Adam": "#1f77b4",
    "Muon": "#9467bd",
    "K-FAC (kfac-jax)": "#2ca02c",
    "SOAP (pytorch_optimizer)": "#17becf",
}
OTHERS = "#b5b5b5"
# In each decade of the loss, of which there is often but a part.
TICKS = (1.2, 1.5, 1.8, 2, 2.2, 2.5, 3, 3.5, 4, 5, 6, 7, 8)
# How far the picture goes above the median of the last losses, and above the
# last one of each optimizer that has a colour.
HEADROOM = 1.6
HEADROOM_OF_COLOURED = 1.3
# Longest run over the median, from which on seconds are on a logarithmic scale.
FAR_APART = 10


def draw(rows, results):
    """Draws a picture of each problem's final runs, and of the headline's.

    Args:
        rows: List of dicts as `runs.Runner.obtain` returns them.
        results: Path of the file of JSON lines; pictures are beside it.

    Returns:
        List of the paths drawn.
    """
    paths = []
    for purpose in (experiments.FINAL, experiments.HEADLINE):
        for problem, task in TASKS.items():
            wanted = {"purpose": purpose, "problem": problem}
            runs = by_curve(
                row
                for row in rows
                if wanted.items() <= row["configuration"].items()
                and not row["failure"]
                and row["points"][-1]["train_loss"] is not None
            )
            if runs:
                path = results.with_name(
                    f"{results.stem}_{purpose}_{problem}.png"
                )
                _draw(panels(runs), task, path)
                paths.append(path)
    return paths


def curves(runs, along):
    """Median, smallest and largest loss over seeds at each record.

    Args:
        runs: Rows of one optimizer.
        along: `"epoch"` or `"seconds"`.

    Returns:
        Tuple of lists: places, medians, smallest, largest.
    """
    points = list(zip(*(row["points"] for row in runs)))
    places = [statistics.median(p[along] for p in at) for at in points]
    losses = [[p["train_loss"] for p in at] for at in points]
    return (
        places,
        [statistics.median(at) for at in losses],
        [min(at) for at in losses],
        [max(at) for at in losses],
    )


def _draw(drawn, task, path):
    figure, axes = pyplot.subplots(
        1, 2, figsize=(10, 3.8), sharey=True, layout="constrained"
    )
    handles = {}
    for axis, (along, runs) in zip(axes, drawn.items()):
        for curve in sorted(runs, key=_behind):
            optimizer, batch_size, _ = curve
            places, medians, low, high = curves(runs[curve], along)
            colour = COLOURS.get(optimizer, OTHERS)
            (handles[_label(optimizer, batch_size, task)],) = axis.plot(
                places,
                medians,
                color=colour,
                linewidth=_width(optimizer),
                linestyle=_style(optimizer, batch_size, task),
            )
            axis.fill_between(
                places, low, high, color=colour, alpha=0.15, linewidth=0
            )
        axis.set_yscale("log")
        axis.yaxis.set_minor_locator(ticker.LogLocator(subs=TICKS))
        axis.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axis.yaxis.set_minor_formatter(ticker.FormatStrFormatter("%g"))
        axis.tick_params(axis="y", which="both", labelsize=8)
        axis.grid(True, which="both", linewidth=0.4, alpha=0.6)
        if along == "seconds" and are_far_apart(runs):
            axis.set_xscale("log", nonpositive="mask")
            axis.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
            continue
        axis.xaxis.set_major_locator(
            ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10])
        )
        axis.set_xlim(left=0)
    axes[0].set_xlabel("epochs")
    axes[1].set_xlabel("seconds of training, without compilation")
    axes[0].set_ylabel("training loss")
    runs = drawn["epoch"]
    lowest = min(min(curves(of_one, "epoch")[2]) for of_one in runs.values())
    axes[0].set_ylim(0.97 * lowest, upper_limit(runs))
    # Ours first, as they are drawn last.
    figure.legend(
        list(reversed(handles.values())),
        list(reversed(handles)),
        loc="outside right center",
        frameon=False,
    )
    figure.suptitle(task.title[0].upper() + task.title[1:])
    figure.savefig(path, dpi=150, metadata={"Software": None})
    pyplot.close(figure)


def panels(runs):
    """What is drawn against epochs, and what against seconds.

    Args:
        runs: As `by_curve` returns them.

    Returns:
        Dict of `"epoch"`, the best settings of each optimizer, and
        `"seconds"`, the best of those that ran on the usual processor; which
        may be others.
    """
    return {
        "epoch": of_best_settings(runs),
        "seconds": of_best_settings(on_one_processor(runs)),
    }


def on_one_processor(runs):
    """The runs whose seconds can be compared.

    Args:
        runs: As `by_curve` returns them.

    Returns:
        Likewise, of the usual processor; without the curves that have no run
        there.
    """
    processor = usual_processor(
        row for of_one in runs.values() for row in of_one
    )
    timed = {curve: run_on(processor, of_one) for curve, of_one in runs.items()}
    return {curve: of_one for curve, of_one in timed.items() if of_one}


def upper_limit(runs):
    """The largest loss in the picture.

    Args:
        runs: As `by_curve` returns them.
    """
    last = {curve: _last(of_one) for curve, of_one in runs.items()}
    coloured = [loss for curve, loss in last.items() if curve[0] in COLOURS]
    return max(
        HEADROOM * statistics.median(last.values()),
        HEADROOM_OF_COLOURED * max(coloured, default=0.0),
    )


def are_far_apart(runs):
    """Whether one run takes so long that the others would be hard to see.

    Args:
        runs: As `by_curve` returns them.
    """
    last = [curves(of_one, "seconds")[0][-1] for of_one in runs.values()]
    return max(last) > FAR_APART * statistics.median(last)


def by_curve(rows):
    """The seeds of an optimizer at a batch size with its settings.

    Args:
        rows: Rows of one problem.

    Returns:
        Dict of tuples, the optimizer, its batch size and its settings as text:
        lists of rows.
    """
    runs = {}
    for row in rows:
        configuration = row["configuration"]
        key = (
            configuration["optimizer"],
            configuration["batch_size"],
            text_of(configuration["settings"]),
        )
        runs.setdefault(key, []).append(row)
    return runs


def of_best_settings(runs):
    """One curve of each optimizer at each batch size: that of the lowest end.

    Args:
        runs: As `by_curve` returns them.

    Returns:
        Likewise.
    """
    best = {}
    for curve in sorted(runs, key=lambda curve: _last(runs[curve])):
        best.setdefault(curve[:2], curve)
    return {curve: runs[curve] for curve in best.values()}


def _last(of_one):
    return curves(of_one, "epoch")[1][-1]


def _behind(curve):
    """Ours are drawn last, on top."""
    optimizer = curve[0]
    return PEERS[optimizer].is_ours, optimizer in COLOURS, curve


def _label(optimizer, batch_size, task):
    if optimizer not in COLOURS:
        return "others (see the table)"
    if batch_size == task.batch_size:
        return optimizer
    return f"{optimizer}, batch size {batch_size}"


def _style(optimizer, batch_size, task):
    if batch_size != task.batch_size:
        return ":"
    return "-" if PEERS[optimizer].is_ours else "--"


def _width(optimizer):
    if PEERS[optimizer].is_ours and optimizer in COLOURS:
        return 2.4
    return 1.6 if optimizer in COLOURS else 1.0
