"""Seconds and epochs that optimizers take to a training loss.

python -m benchmarks.time_to_loss --data-dir DIR [--kfac-python PYTHON]
    [--backend BACKEND]

Trains the autoencoder on all 60,000 digits and the classifier on all 60,000
images, from the same initial weights and in the same order, and evaluates them
on all of them several times an epoch; evaluation and compilation are not
counted. K-FAC is that of kfac-jax, run by an interpreter that has it; it is
left out where none is given.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

from benchmarks import chosen_backend
from benchmarks.comparison.runs import points_of
from benchmarks.comparison.tasks import TASKS
from benchmarks.comparison.tasks import load
from benchmarks.records import append_line
from benchmarks.records import processor
from benchmarks.records import read_lines
from benchmarks.records import versions
from benchmarks.time_to_loss_report import draw
from benchmarks.time_to_loss_report import tables

RESULTS = Path(__file__).parent / "results" / "time_to_loss.jsonl"
PARTS = 4
KFAC = "K-FAC (kfac-jax)"
AUTO = 'LocoProp("auto")'


class Run(NamedTuple):
    """One training.

    Attributes:
        name: String, what the tables call it.
        problem: String, a key of `comparison.tasks.TASKS`.
        optimizer: String, a key of `comparison.peers.PEERS`.
        settings: Dict of its arguments.
        batch_size: Integer.
        epochs: Integer.
    """

    name: str
    problem: str
    optimizer: str
    settings: dict
    batch_size: int
    epochs: int


_AVERAGED = {"use_ema": True, "ema_momentum": 0.9}
_ADAM = {"learning_rate": 1e-3}
RUNS = [
    Run("Adam, 1e-3", "mnist", "Adam", _ADAM, 1000, 6),
    Run("LocoProp.paper()", "mnist", "LocoProp.paper()", {}, 1000, 4),
    Run("LocoProp()", "mnist", "LocoProp()", {}, 1000, 6),
    Run(AUTO, "mnist", AUTO, {}, 500, 4),
    Run(f"{AUTO[:-1]}, use_ema=True)", "mnist", AUTO, _AVERAGED, 500, 4),
    Run(
        f"{AUTO[:-1]}, use_ema=True), B=1000", "mnist", AUTO, _AVERAGED, 1000, 4
    ),
    Run(f"{AUTO}, B=1000", "mnist", AUTO, {}, 1000, 4),
    Run(
        f'{AUTO[:-1]}, output_scaling="unit")',
        "mnist",
        AUTO,
        {"output_scaling": "unit"},
        500,
        4,
    ),
    *(
        Run(
            f"kfac-jax, damping {damping:g}, B={batch_size}",
            "mnist",
            KFAC,
            {"initial_damping": damping},
            batch_size,
            3,
        )
        for batch_size in (500, 1000)
        for damping in (0.1, 1.0, 10.0)
    ),
    Run("Adam, 1e-3", "classifier", "Adam", _ADAM, 128, 5),
    Run("LocoProp()", "classifier", "LocoProp()", {}, 128, 5),
    Run(f"{AUTO}, B=128", "classifier", AUTO, {}, 128, 5),
    Run(AUTO, "classifier", AUTO, {}, 500, 5),
]


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    chosen_backend.add_option(parser)
    add("--data-dir", help="as in benchmarks.sweep")
    add("--download", action="store_true")
    add("--kfac-python", help="an interpreter that has kfac-jax")
    add("--results", type=Path, default=RESULTS)
    add("--seed", type=int, default=0)
    add("--only", nargs="*", help="names of runs")
    add("--epochs", type=int, help="for all, in place of their own")
    add("--examples", type=int, help="train on the first so many")
    add("--report", action="store_true", help="only the tables")
    add("--plot", type=Path, help="draw the curves to this file")
    options = parser.parse_args(arguments)
    if chosen_backend.ran_elsewhere(
        "benchmarks.time_to_loss", options, arguments
    ):
        return
    for run in () if options.report else RUNS:
        is_missing = run.optimizer == KFAC and not options.kfac_python
        is_wanted = options.only is None or run.name in options.only
        if is_wanted and not is_missing:
            append_line(options.results, _train(run, options))
    rows = read_lines(options.results)
    text = tables(rows)
    print(text)
    options.results.with_suffix(".md").write_text(text, encoding="utf-8")
    if options.plot:
        draw(rows, options.plot)


def _train(run, options):
    data = load(
        TASKS[run.problem], options.data_dir, options.download, options.examples
    )
    points = []
    for point in points_of(
        run._asdict(),
        data,
        {
            "batch_size": run.batch_size,
            "epochs": options.epochs or run.epochs,
            "parts": PARTS,
            "seed": options.seed,
            "scheduled": False,
        },
        {"jax_peer": options.kfac_python},
    ):
        if "epoch" in point:
            points.append(point)
            print(
                f"{run.problem}, {run.name}: epoch {point['epoch']:g}, "
                f"{point['seconds']:.1f} s, train loss "
                f"{point['train_loss']:.4g}",
                flush=True,
            )
    return {
        "name": run.name,
        "problem": run.problem,
        "backend": None if run.optimizer == KFAC else options.backend,
        "batch_size": run.batch_size,
        "seed": options.seed,
        "train_examples": len(data["x_train"]),
        "points": points,
        "processor": processor(),
        "versions": versions(),
    }


if __name__ == "__main__":
    main()
