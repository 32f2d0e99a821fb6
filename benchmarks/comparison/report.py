"""The tables of the comparison, from its rows alone."""

from benchmarks.comparison import ahead_report
from benchmarks.comparison import experiments
from benchmarks.comparison import headline_report
from benchmarks.comparison import tuning
from benchmarks.comparison import tuning_report
from benchmarks.comparison.cells import COST_HEADER
from benchmarks.comparison.cells import cost_cells
from benchmarks.comparison.cells import last_values
from benchmarks.comparison.cells import markdown_table
from benchmarks.comparison.cells import number_cell
from benchmarks.comparison.cells import optimizer_cell
from benchmarks.comparison.cells import seeds_cell
from benchmarks.comparison.cells import setting_cell
from benchmarks.comparison.cells import sortable
from benchmarks.comparison.cells import spread_cell
from benchmarks.comparison.cells import text_of
from benchmarks.comparison.groups import by_median_loss
from benchmarks.comparison.groups import chosen_rows
from benchmarks.comparison.groups import grouped
from benchmarks.comparison.summary_report import epochs_and_seconds_taken
from benchmarks.comparison.summary_report import seconds_taken
from benchmarks.comparison.summary_report import summary_tables
from benchmarks.comparison.tasks import TASKS

# What the cells of the summaries add to the losses. Whole epochs are only about
# equal in seconds.
COST_CELLS = {
    experiments.FINAL: seconds_taken,
    experiments.SECONDS: epochs_and_seconds_taken,
}
BUDGETS = {
    experiments.FINAL: "equal epochs",
    experiments.SECONDS: "about equal seconds",
}
_INTRODUCTION = """\
# LocoProp beside other optimizers

Written by `python -m benchmarks.comparison report` from `{}`;
see [the benchmarks' README](../README.md) for how it was run. Losses are over
the whole training or test set, with the weights at the end of the run: medians
over seeds, with the smallest and the largest in parentheses. Seconds are those
of training alone; compilation is in a column of its own. Seconds (epochs) to a
training loss are those of the headline's runs, looked at after every epoch, or
in how many epochs it was not reached. Where the headline's runs were on more
than one processor, seconds are of those on the one that most optimizers were
on; what did not run there has none. Optimizers run with the best setting of the
trials that there are when they start, in this report or the other one
([two cores](comparison.md), [GPU](comparison_on_gpu.md)); `LocoProp.paper()`
has the paper's settings in the headline. The search spaces are the present
ones; trials from before a space grew are of that of their commit.
"""


def tables(rows):
    """All tables.

    Args:
        rows: List of dicts as `runs.Runner.obtain` returns them, in any order.

    Returns:
        Dict of names of tables: Markdown.
    """
    rows = sorted(rows, key=lambda row: text_of(row["configuration"]))
    made = {}
    ranked_by_budget = {}
    for purpose, cost_cell in COST_CELLS.items():
        ranked = {
            problem: sorted(
                grouped(chosen, "optimizer", "settings"), key=by_median_loss
            )
            for problem in TASKS
            if (chosen := chosen_rows(rows, purpose=purpose, problem=problem))
        }
        if ranked:
            ranked_by_budget[BUDGETS[purpose]] = ranked
            for name, text in summary_tables(ranked, cost_cell).items():
                made[f"{purpose} {name}"] = text
        for problem, groups in ranked.items():
            made[f"{purpose} {problem}"] = _final_table(groups, problem)
    if ranked_by_budget:
        made["ahead of ours"] = ahead_report.table(ranked_by_budget)
    headline = chosen_rows(rows, purpose=experiments.HEADLINE)
    if headline:
        made["headline"] = headline_report.losses_table(headline)
        made["seconds to a loss"] = headline_report.seconds_table(headline)
        made["known figures"] = headline_report.known_figures()
    for name in experiments.ABLATED:
        chosen = chosen_rows(rows, purpose=experiments.ABLATIONS, table=name)
        if chosen:
            made[f"ablation {name}"] = _ablation_table(chosen)
    for problem in TASKS:
        chosen = chosen_rows(rows, purpose=tuning.PURPOSE, problem=problem)
        if chosen:
            made[f"tuning {problem}"] = tuning_report.trials_table(
                grouped(chosen, "optimizer")
            )
    made["search spaces"] = tuning_report.space_table()
    made["unsupported"] = tuning_report.unsupported_table()
    return made


def format_report(rows, source):
    """The whole report, as Markdown.

    Args:
        rows: As in `tables`.
        source: String, the name of the file that they are from.

    Returns:
        String.
    """
    parts = [_INTRODUCTION.format(source)]
    for name, text in tables(rows).items():
        parts.append(f"## {_title(name)}\n\n{text}")
    versions = {_versions(row) for row in rows}
    if versions:
        lines = "".join(f"- {line}\n" for line in sorted(versions))
        parts.append(f"## Versions\n\n{lines}")
    return "\n".join(parts)


def write(rows, results):
    """Writes the report beside the results.

    Args:
        rows: As in `tables`.
        results: Path of the file of JSON lines.
    """
    path = results.with_suffix(".md")
    path.write_text(format_report(rows, results.name), encoding="utf-8")


def _final_table(groups, problem):
    has_accuracy = TASKS[problem].targets == "labels"
    header = ["optimizer", "batch size", "epochs", "seeds"]
    header += ["train loss", "test loss"]
    header += ["test accuracy, %"] if has_accuracy else []
    header += COST_HEADER
    lines = []
    for runs in groups:
        configuration = runs[0]["configuration"]
        cells = [optimizer_cell(configuration["optimizer"])]
        cells += [str(configuration["batch_size"])]
        cells += [str(configuration["epochs"]), seeds_cell(runs)]
        cells += [spread_cell(last_values(runs, "train_loss"))]
        cells += [spread_cell(last_values(runs, "test_loss"))]
        if has_accuracy:
            accuracies = last_values(runs, "test_accuracy")
            cells += [
                spread_cell([100 * value for value in accuracies], "{:.1f}")
            ]
        lines.append(cells + cost_cells(runs, runs))
    return markdown_table(header, lines)


def _ablation_table(rows):
    shown = [
        row["configuration"]["settings"] | _batch(row["configuration"])
        for row in rows
    ]
    varying = _varying(rows, shown)
    header = ["optimizer", *varying, "epochs", "train loss", "test loss"]
    lines = []
    for row, settings in zip(rows, shown):
        last = row["points"][-1]
        key = [sortable(settings.get(name)) for name in varying]
        cells = [optimizer_cell(row["configuration"]["optimizer"])]
        cells += [
            setting_cell(settings.get(name, "default")) for name in varying
        ]
        cells += [str(row["configuration"]["epochs"])]
        cells += [
            number_cell(last["train_loss"]),
            number_cell(last["test_loss"]),
        ]
        cells += [f"{last['seconds']:.0f}"]
        lines.append((row["configuration"]["optimizer"], key, cells))
    lines.sort(key=lambda line: line[:2])
    return markdown_table([*header, "seconds"], [cells for *_, cells in lines])


def _varying(rows, shown):
    """The settings that were changed, rather than those that optimizers have.

    An inner optimizer brings its rate and momentum with it.
    """
    values = {}
    for row, settings in zip(rows, shown):
        for name in {name for each in shown for name in each}:
            who = name, row["configuration"]["optimizer"]
            values.setdefault(who, set()).add(text_of(settings.get(name)))
    names = {name for (name, _), some in values.items() if len(some) > 1}
    if "inner_optimizer" in names:
        return ["inner_optimizer"]
    return sorted(names - {"batch_factor"})


def _title(name):
    purpose, _, rest = name.partition(" ")
    titles = {
        **{purpose: f"{{}}: {budget}" for purpose, budget in BUDGETS.items()},
        "tuning": "Tuning on the problem: {}",
        "ablation": "Ablation: {}",
    }
    rest = TASKS[rest].title if rest in TASKS else rest
    text = titles.get(purpose, name).format(rest)
    return text[0].upper() + text[1:]


def _versions(row):
    known = row["versions"] | {
        "processor": row["processor"],
        "commit": row["commit"],
    }
    return ", ".join(f"{name} {value}" for name, value in known.items())


def _batch(configuration):
    return {"batch size": configuration["batch_size"]}
