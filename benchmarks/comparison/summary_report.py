"""The tables of a budget: how far each optimizer comes on every problem."""

import math
import statistics

from benchmarks.comparison.cells import MISSING
from benchmarks.comparison.cells import last_values
from benchmarks.comparison.cells import markdown_table
from benchmarks.comparison.cells import number_cell
from benchmarks.comparison.cells import optimizer_cell
from benchmarks.comparison.cells import training_seconds
from benchmarks.comparison.groups import best_of_each
from benchmarks.comparison.tasks import TASKS

# All losses in one table would be too wide to read.
KINDS = {"autoencoders": "inputs", "classifiers": "labels"}


def summary_tables(ranked, cost_cell):
    """Places on all problems, and medians over seeds on those of a kind.

    In each, the optimizers are by their mean place on its problems; one that is
    missing on a problem comes after those that are not.

    Args:
        ranked: Dict of names of problems: lists of the runs, as rows, of one
            optimizer with one setting each, the best first. Of an optimizer
            with two settings only the better one counts.
        cost_cell: Function of rows that says what they took.

    Returns:
        Dict of `"places"` and of those of `KINDS` that there are: Markdown.
    """
    best = {problem: best_of_each(groups) for problem, groups in ranked.items()}
    made = {"places": _table(best, lambda place, problem, runs: str(place))}
    for kind, targets in KINDS.items():
        chosen = {
            problem: runs_of
            for problem, runs_of in best.items()
            if TASKS[problem].targets == targets
        }
        if chosen:
            made[kind] = _table(
                chosen,
                lambda place, problem, runs: (
                    f"{_losses(place, problem, runs)}, {cost_cell(runs)}"
                ),
            )
    return made


def seconds_taken(runs):
    return f"{statistics.median(training_seconds(runs)):.0f} s"


def epochs_and_seconds_taken(runs):
    return (
        f"{_count(runs[0]['configuration']['epochs'])}, {seconds_taken(runs)}"
    )


def _table(best, cell):
    places = {}
    for runs_of in best.values():
        for place, name in enumerate(runs_of, start=1):
            places.setdefault(name, []).append(place)
    means = {name: statistics.mean(taken) for name, taken in places.items()}
    header = ["optimizer", "mean place"]
    header += [_title(problem, runs_of) for problem, runs_of in best.items()]
    lines = []
    for name in sorted(means, key=lambda n: (-len(places[n]), means[n], n)):
        line = [optimizer_cell(name), f"{means[name]:.1f}"]
        for problem, runs_of in best.items():
            if name in runs_of:
                place = list(runs_of).index(name) + 1
                line.append(cell(place, problem, runs_of[name]))
            else:
                line.append(MISSING)
        lines.append(line)
    return markdown_table(header, lines)


def _title(problem, runs_of):
    title = TASKS[problem].title
    epochs = {runs[0]["configuration"]["epochs"] for runs in runs_of.values()}
    return f"{title}, {_count(*epochs)}" if len(epochs) == 1 else title


def _count(epochs):
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def _losses(place, problem, runs):
    loss = statistics.median(last_values(runs, "train_loss"))
    train = number_cell(loss)
    if place == 1 and math.isfinite(loss):
        train = f"**{train}**"
    if TASKS[problem].targets == "labels":
        accuracy = statistics.median(last_values(runs, "test_accuracy"))
        test = number_cell(100 * accuracy, "{:.1f} %")
    else:
        test = number_cell(statistics.median(last_values(runs, "test_loss")))
    return f"{train}, test {test}"
