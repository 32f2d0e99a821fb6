"""The table of a budget: how far each optimizer comes on every problem."""

import math
import statistics

from benchmarks.comparison.cells import last_values
from benchmarks.comparison.cells import markdown_table
from benchmarks.comparison.cells import number_cell
from benchmarks.comparison.cells import optimizer_cell
from benchmarks.comparison.cells import training_seconds
from benchmarks.comparison.tasks import TASKS

MISSING = "–"


def summary_table(ranked, cost_cell):
    """Medians over seeds, the optimizers by their mean place.

    An optimizer that is missing on a problem comes after those that are not.

    Args:
        ranked: Dict of names of problems: lists of the runs, as rows, of one
            optimizer with one setting each, the best first. Of an optimizer
            with two settings only the better one counts.
        cost_cell: Function of rows that says what they took.

    Returns:
        String, Markdown.
    """
    places, cells = {}, {}
    for problem, groups in ranked.items():
        for runs in groups:
            optimizer = runs[0]["configuration"]["optimizer"]
            if (optimizer, problem) in cells:
                continue
            place = sum(key[1] == problem for key in cells) + 1
            places.setdefault(optimizer, []).append(place)
            losses = _losses_cell(runs, problem, is_first=place == 1)
            cells[optimizer, problem] = f"{losses}, {cost_cell(runs)}"
    means = {name: statistics.mean(taken) for name, taken in places.items()}
    header = ["optimizer", "mean place"]
    header += [TASKS[problem].title for problem in ranked]
    lines = [
        [
            optimizer_cell(name),
            f"{means[name]:.1f}",
            *(cells.get((name, problem), MISSING) for problem in ranked),
        ]
        for name in sorted(
            means, key=lambda name: (-len(places[name]), means[name], name)
        )
    ]
    return markdown_table(header, lines)


def seconds_taken(runs):
    return f"{statistics.median(training_seconds(runs)):.0f} s"


def epochs_and_seconds_taken(runs):
    epochs = runs[0]["configuration"]["epochs"]
    name = "epoch" if epochs == 1 else "epochs"
    return f"{epochs} {name}, {seconds_taken(runs)}"


def _losses_cell(runs, problem, is_first):
    loss = statistics.median(last_values(runs, "train_loss"))
    train = number_cell(loss)
    if is_first and math.isfinite(loss):
        train = f"**{train}**"
    if TASKS[problem].targets == "labels":
        accuracy = statistics.median(last_values(runs, "test_accuracy"))
        test = number_cell(100 * accuracy, "{:.1f} %")
    else:
        test = number_cell(statistics.median(last_values(runs, "test_loss")))
    return f"{train}, test {test}"
