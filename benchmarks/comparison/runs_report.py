"""The table of what has been run: by whom, on which problem, and where."""

from benchmarks.comparison import experiments
from benchmarks.comparison import tuning
from benchmarks.comparison.cells import MISSING
from benchmarks.comparison.cells import markdown_table
from benchmarks.comparison.cells import optimizer_cell
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.tasks import TASKS

PURPOSES = {
    "trials": tuning.PURPOSE,
    "final runs at equal epochs": experiments.FINAL,
    "at equal seconds": experiments.SECONDS,
    "100 epochs": experiments.HEADLINE,
}


def runs_table(results):
    """Which optimizers have runs on each problem, for each purpose.

    Args:
        results: Dict of machines, as they are to be called: lists of rows.

    Returns:
        String, Markdown. A machine without any run for a purpose has no column
        there; `"all"` are those that can learn the problem.
    """
    ran = {}
    for machine, rows in results.items():
        for row in rows:
            who = row["configuration"]
            problems = ran.setdefault((who["purpose"], machine), {})
            problems.setdefault(who["problem"], set()).add(who["optimizer"])
    columns = {
        f"{title}, {machine}": ran[purpose, machine]
        for title, purpose in PURPOSES.items()
        for machine in results
        if (purpose, machine) in ran
    }
    lines = [
        [
            task.title,
            *(
                _who(problems.get(problem, ()), problem)
                for problems in columns.values()
            ),
        ]
        for problem, task in TASKS.items()
    ]
    return markdown_table(["problem", *columns], lines)


def _who(ran, problem):
    able = [
        name for name, peer in PEERS.items() if problem not in peer.unsupported
    ]
    there = [optimizer_cell(name) for name in able if name in ran]
    missing = [optimizer_cell(name) for name in able if name not in ran]
    if not there:
        return MISSING
    if not missing:
        return "all"
    if len(missing) < len(there):
        return f"all but {', '.join(missing)}"
    return ", ".join(there)
