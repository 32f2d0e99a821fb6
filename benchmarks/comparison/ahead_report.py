"""The table of what came lower than the best form of ours."""

import itertools
import statistics

from benchmarks.comparison.cells import MISSING
from benchmarks.comparison.cells import last_values
from benchmarks.comparison.cells import markdown_table
from benchmarks.comparison.cells import number_cell
from benchmarks.comparison.cells import optimizer_cell
from benchmarks.comparison.groups import best_of_each
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.summary_report import seconds_taken
from benchmarks.comparison.tasks import TASKS

NONE = "none"


def table(ranked_by_budget):
    """The optimizers of others that came lower, in each budget.

    Args:
        ranked_by_budget: Dict of how a budget is called: dict of names of
            problems, as in `summary_tables`.

    Returns:
        String, Markdown.
    """
    header = ["problem"]
    for budget in ranked_by_budget:
        header += [f"the best of ours, {budget}", "what came lower"]
    lines = []
    for problem, task in TASKS.items():
        found = [ranked.get(problem) for ranked in ranked_by_budget.values()]
        if any(found):
            cells = itertools.chain.from_iterable(map(_cells, found))
            lines.append([task.title, *cells])
    return markdown_table(header, lines)


def _cells(groups):
    if not groups:
        return [MISSING, MISSING]
    runs_of = best_of_each(groups)
    ahead = list(
        itertools.takewhile(lambda name: not PEERS[name].is_ours, runs_of)
    )
    ours = list(runs_of)[len(ahead) : len(ahead) + 1]
    return [
        "; ".join(_result(name, runs_of[name]) for name in names) or nothing
        for names, nothing in ((ours, MISSING), (ahead, NONE))
    ]


def _result(optimizer, runs):
    loss = number_cell(statistics.median(last_values(runs, "train_loss")))
    return f"{optimizer_cell(optimizer)} {loss}, {seconds_taken(runs)}"
