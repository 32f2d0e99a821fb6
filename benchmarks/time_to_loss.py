"""Seconds and epochs that optimizers take to a training loss.

python -m benchmarks.time_to_loss --data-dir DIR [--kfac-python PYTHON]

Trains the autoencoder on all 60,000 digits, from the same initial weights and
in the same order, and evaluates it on all of them every half epoch; evaluation
and compilation are not counted. K-FAC is that of kfac-jax, run by an
interpreter that has it; it is left out where none is given.
"""

import argparse
from pathlib import Path

from benchmarks.comparison.runs import points_of
from benchmarks.comparison.tasks import TASKS
from benchmarks.comparison.tasks import load
from benchmarks.records import append_line
from benchmarks.records import read_lines
from benchmarks.records import versions

RESULTS = Path(__file__).parent / "results" / "time_to_loss.jsonl"
THRESHOLDS = (120, 80, 70, 65, 60, 58)
PARTS = 2
KFAC = "K-FAC (kfac-jax)"

# Name: optimizer of the comparison, settings, batch size, epochs.
CONFIGURATIONS = {
    "Adam": ("Adam", {"learning_rate": 1e-3}, 1000, 6),
    "LocoProp.paper()": ("LocoProp.paper()", {}, 1000, 4),
    "LocoProp()": ("LocoProp()", {}, 1000, 6),
    'LocoProp("auto")': ('LocoProp("auto")', {}, 500, 4),
    'LocoProp("auto"), B=1000': ('LocoProp("auto")', {}, 1000, 4),
    'LocoProp("auto", output_scaling="unit")': (
        'LocoProp("auto")',
        {"output_scaling": "unit"},
        500,
        4,
    ),
} | {
    f"kfac-jax, damping {damping:g}, B={batch_size}": (
        KFAC,
        {"initial_damping": damping},
        batch_size,
        4,
    )
    for batch_size in (500, 1000)
    for damping in (0.1, 1.0, 10.0)
}


def crossing(points, threshold):
    """The first point at which the training loss is below a threshold."""
    for point in points:
        if point["train_loss"] <= threshold:
            return point
    return None


def table(rows):
    """A Markdown table: seconds (epochs) to each loss, for each row."""
    lines = [
        "| optimizer | B | "
        + " | ".join(str(threshold) for threshold in THRESHOLDS)
        + " | last |",
        "| --- | "
        + " | ".join("---" for _ in range(len(THRESHOLDS) + 2))
        + " |",
    ]
    for row in rows:
        cells = []
        for threshold in THRESHOLDS:
            point = crossing(row["points"], threshold)
            cells.append(
                f"{point['seconds']:.0f} s ({point['epoch']:g})"
                if point
                else "–"
            )
        last = row["points"][-1]
        cells.append(
            f"{last['train_loss']:.2f}, test {last['test_loss']:.2f}, "
            f"{last['seconds']:.0f} s ({last['epoch']:g})"
        )
        lines.append(
            f"| `{row['name']}` | {row['batch_size']} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data-dir", help="as in benchmarks.sweep")
    add("--download", action="store_true")
    add("--kfac-python", help="an interpreter that has kfac-jax")
    add("--results", type=Path, default=RESULTS)
    add("--seed", type=int, default=0)
    add("--only", nargs="*", help="names of configurations")
    add("--epochs", type=int, help="for all, in place of their own")
    add("--examples", type=int, help="train on the first so many")
    options = parser.parse_args(arguments)
    data = load(
        TASKS["mnist"], options.data_dir, options.download, options.examples
    )
    for name, (
        optimizer,
        settings,
        batch_size,
        epochs,
    ) in CONFIGURATIONS.items():
        is_missing = optimizer == KFAC and not options.kfac_python
        is_wanted = options.only is None or name in options.only
        if is_missing or not is_wanted:
            continue
        points = points_of(
            {"problem": "mnist", "optimizer": optimizer, "settings": settings},
            data,
            {
                "batch_size": batch_size,
                "epochs": options.epochs or epochs,
                "parts": PARTS,
                "seed": options.seed,
                "scheduled": False,
            },
            {"jax_peer": options.kfac_python},
        )
        kept = []
        for point in points:
            if "epoch" not in point:
                continue
            kept.append(point)
            print(
                f"{name}: epoch {point['epoch']:g}, {point['seconds']:.1f} s, "
                f"train loss {point['train_loss']:.2f}",
                flush=True,
            )
        row = {
            "name": name,
            "batch_size": batch_size,
            "seed": options.seed,
            "train_examples": len(data["x_train"]),
            "points": kept,
            "versions": versions(),
        }
        append_line(options.results, row)
    print(table(read_lines(options.results)))


if __name__ == "__main__":
    main()
