"""The tables in the project's documents, written anew from the results.

python -m benchmarks.documents

A Markdown file holds a table between `<!-- table: NAME -->` and
`<!-- end of table -->`.
"""

import re
from pathlib import Path

from benchmarks import architectures
from benchmarks import solver_cost
from benchmarks import step_time_report
from benchmarks import sweep
from benchmarks import sweep_report
from benchmarks import time_to_loss
from benchmarks import time_to_loss_report
from benchmarks.comparison import report as comparison_report
from benchmarks.comparison.runs_report import runs_table
from benchmarks.comparison.tuning import is_trial
from benchmarks.records import read_lines
from benchmarks.training_run import LOCOPROP
from benchmarks.training_run import complete_settings

BENCHMARKS = Path(__file__).parent
DOCUMENTS = (
    BENCHMARKS.parent / "README.md",
    BENCHMARKS / "README.md",
    BENCHMARKS / "NOTES.md",
)
COMPARISONS = {
    name: BENCHMARKS / "results" / f"{name.replace(' ', '_').lower()}.jsonl"
    for name in ("comparison", "comparison on GPU")
}
STEP_TIME_ON_BACKENDS = BENCHMARKS / "results" / "step_time_on_backends.jsonl"
_MARKED = re.compile(
    r"(<!-- table: (?P<name>[^>]+?) -->\n).*?(<!-- end of table -->)",
    re.DOTALL,
)


def tables():
    """All tables that a document can hold.

    Returns:
        Dict of names: Markdown.
    """
    compared = {name: read_lines(path) for name, path in COMPARISONS.items()}
    compared["comparison on both"] = [
        row for rows in compared.values() for row in filter(is_trial, rows)
    ]
    ran = {
        "two cores": compared["comparison"],
        "GPU": compared["comparison on GPU"],
    }
    time_to = time_to_loss_report.summaries(read_lines(time_to_loss.RESULTS))
    cost = solver_cost.tables(read_lines(solver_cost.RESULTS))
    return {
        **{f"solver cost, {name}": text for name, text in cost.items()},
        **{
            f"{comparison} {name}": text
            for comparison, rows in compared.items()
            for name, text in comparison_report.tables(rows).items()
        },
        **{f"time to loss {name}": text for name, text in time_to.items()},
        "comparison runs": runs_table(ran),
        "architectures": architectures.summary(
            read_lines(architectures.RESULTS)
        ),
        "step time on backends": step_time_report.side_by_side(
            read_lines(STEP_TIME_ON_BACKENDS)
        ),
        "sweep": sweep_report.summary(
            read_lines(sweep.RESULTS / "sweep.jsonl"),
            complete_settings(LOCOPROP, {}),
            complete_settings(LOCOPROP, {"learning_rate": "auto"}),
        ),
    }


def renewed(text, made):
    """A Markdown text with its marked tables written anew.

    Args:
        text: String.
        made: As `tables` returns it.

    Returns:
        String.

    Raises:
        KeyError: If the text marks a table that there is not.
    """
    return _MARKED.sub(
        lambda match: match[1] + made[match["name"]] + match[3], text
    )


def main(documents=DOCUMENTS):
    made = tables()
    for document in documents:
        before = document.read_text(encoding="utf-8")
        document.write_text(renewed(before, made), encoding="utf-8")


if __name__ == "__main__":
    main()
