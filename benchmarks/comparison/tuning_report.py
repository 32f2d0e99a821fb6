"""The tables of what was searched, and of what came out."""

import math

from benchmarks.comparison import tuning
from benchmarks.comparison.cells import markdown_table
from benchmarks.comparison.cells import number_cell
from benchmarks.comparison.cells import optimizer_cell
from benchmarks.comparison.cells import setting_cell
from benchmarks.comparison.cells import settings_cell
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.tasks import TASKS


def trials_table(groups):
    """The best trial of each search, the best first.

    Args:
        groups: Lists of the trials, as rows, of one optimizer each.

    Returns:
        String, Markdown.
    """
    header = ["optimizer", "trials", "epochs", "first trial", "best trial"]
    header += ["failed", "best settings"]
    lines = []
    for trials in groups:
        configuration = trials[0]["configuration"]
        first = min(
            trials,
            key=lambda row: (row["configuration"]["trial"], tuning.score(row)),
        )
        best = min(trials, key=tuning.score)
        scores = [tuning.score(row) for row in trials]
        cells = [optimizer_cell(configuration["optimizer"]), str(len(trials))]
        cells += [str(configuration["epochs"])]
        cells += [number_cell(tuning.score(first)), number_cell(min(scores))]
        cells += [str(sum(not math.isfinite(score) for score in scores))]
        cells += [settings_cell(best["configuration"]["settings"])]
        lines.append((min(scores), cells))
    lines.sort()
    return markdown_table(header, [cells for _, cells in lines])


def space_table():
    """What is searched for each optimizer."""
    lines = []
    for name, peer in PEERS.items():
        space = "; ".join(
            f"{setting} from {setting_cell(list(distribution.choices))}"
            if hasattr(distribution, "choices")
            else f"{setting} {distribution.low:g} to {distribution.high:g}"
            for setting, distribution in peer.space.items()
        )
        if peer.joined:
            space += f"; trials that do not say: {settings_cell(peer.joined)}"
        lines.append(
            [
                optimizer_cell(name),
                space,
                settings_cell(peer.start),
                settings_cell(peer.fixed),
            ]
        )
    return markdown_table(
        ["optimizer", "searched", "first trial", "fixed"], lines
    )


def unsupported_table():
    """The optimizers that cannot learn a problem, and why."""
    lines = [
        [optimizer_cell(name), TASKS[problem].title, reason]
        for name, peer in PEERS.items()
        for problem, reason in peer.unsupported.items()
    ]
    return markdown_table(["optimizer", "problem", "why it has no row"], lines)
