"""The committed results, for tests of what the documents say of them."""

import collections
import statistics
from pathlib import Path

from benchmarks import records

ROOT = Path(__file__).parents[1]


def rows_of(name="comparison"):
    rows = records.read_lines(ROOT / "benchmarks/results" / f"{name}.jsonl")
    assert rows, f"{name}.jsonl is empty"
    return rows


def ends(purpose, problem, value):
    """Optimizer: list of what its runs end with."""
    found = collections.defaultdict(list)
    for row in rows_of():
        configuration = row["configuration"]
        if (configuration["purpose"], configuration["problem"]) == (
            purpose,
            problem,
        ):
            found[configuration["optimizer"]].append(row["points"][-1][value])
    return found


def medians(purpose, problem, value="train_loss"):
    """Optimizer: median over seeds of what its runs end with."""
    found = ends(purpose, problem, value)
    return {name: statistics.median(runs) for name, runs in found.items()}


def words_of(document):
    """The text of a document, wherever its lines end."""
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())
