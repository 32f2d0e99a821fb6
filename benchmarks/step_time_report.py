"""Seconds per step on all backends of Keras, side by side.

python -m benchmarks.step_time_report FILE

Reads what `benchmarks.step_time --json FILE` appended; of each backend the last
line counts.
"""

import argparse

from benchmarks.chosen_backend import BACKENDS
from benchmarks.records import read_lines


def backend_of(record):
    """The backend of a record; those of the first ones tell by versions."""
    named = record.get("backend")
    return named or next(b for b in BACKENDS if b in record["versions"])


def side_by_side(records):
    """Markdown: for each problem, seconds (ratio to Adam) by backend."""
    last = {backend_of(record): record for record in records}
    backends = [backend for backend in BACKENDS if backend in last]
    names = dict.fromkeys(
        name for backend in backends for name in last[backend]["problems"]
    )
    return "\n".join(_table(name, last, backends) for name in names)


def _table(problem, last, backends):
    figures = {
        backend: last[backend]["problems"][problem]
        for backend in backends
        if problem in last[backend]["problems"]
    }
    optimizers = dict.fromkeys(
        name for of_one in figures.values() for name in of_one["optimizers"]
    )
    lines = [["seconds (to Adam)", *figures], ["---"] * (1 + len(figures))]
    for optimizer in optimizers:
        cells = [
            _cell(of_one["optimizers"].get(optimizer))
            for of_one in figures.values()
        ]
        lines.append([optimizer, *cells])
    size = next(iter(figures.values()))["batch_size"]
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([f"{problem}, batch size {size}", "", *rows, ""])


def _cell(of_optimizer):
    if of_optimizer is None:
        return "–"
    ratio = of_optimizer["ratio_to_adam"]
    return f"{of_optimizer['step_seconds']:.5f} ({ratio:.2f})"


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", help="lines of JSON")
    print(side_by_side(read_lines(parser.parse_args(arguments).file)))


if __name__ == "__main__":
    main()
