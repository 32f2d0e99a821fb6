"""The sweep behind LocoProp's defaults.

python -m benchmarks.sweep --data-dir DIR --adam --set
python -m benchmarks.sweep --report
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import keras

from benchmarks import problems
from benchmarks.records import append_line
from benchmarks.records import read_lines
from benchmarks.sweep_report import format_report
from benchmarks.training_run import ADAM
from benchmarks.training_run import LOCOPROP
from benchmarks.training_run import complete_settings
from benchmarks.training_run import train

RESULTS = Path(__file__).resolve().parent / "results"
ADAM_LEARNING_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
SEEDS = 3
STABILITY_SEEDS = 5
STABILITY_BATCH_SIZES = (32, 128, 1000)
STABILITY_EXAMPLES = 12_000


def main(arguments=None):
    options = _parse(arguments)
    results = Path(options.results)
    for problem in _chosen(options.task):
        configurations = list(_configurations(problem, options))
        _run(problem, configurations, results / "sweep.jsonl", options)
    if options.report:
        report = format_report(
            read_lines(results / "sweep.jsonl"),
            complete_settings(LOCOPROP, {}),
        )
        results.mkdir(parents=True, exist_ok=True)
        (results / "sweep.md").write_text(report, encoding="utf-8")


def key(configuration):
    """What makes a configuration the same as another."""
    return json.dumps(configuration, sort_keys=True)


def _run(problem, configurations, path, options):
    done = {key(row["configuration"]) for row in read_lines(path)}
    # As a dict, because settings can be asked for twice under other names.
    pending = {key(c): c for c in configurations if key(c) not in done}
    configurations = list(pending.values())
    if not configurations:
        return
    data = None
    for i, configuration in enumerate(configurations):
        examples = configuration["train_examples"]
        if data is None or len(data.x_train) != examples:
            data = problems.load_data(
                problem, options.data_dir, options.download, examples
            )
        keras.utils.clear_session()
        row = train(problem, data, configuration)
        append_line(path, row)
        print(
            f"{problem.name} {i + 1}/{len(configurations)}: "
            f"{configuration['optimizer']}, batch size "
            f"{configuration['batch_size']}, seed {configuration['seed']}, "
            f"{_brief(configuration)}: "
            f"train loss {row['train_loss'][-1]:.4g}, "
            f"test loss {row['test_loss'][-1]:.4g}, "
            f"{sum(row['seconds_per_epoch']):.1f} s",
            file=sys.stderr,
            flush=True,
        )


def _configurations(problem, options):
    """Yields all that is asked for, in the order in which it is run."""
    available = problem.train_examples
    examples = min(options.examples or available, available)
    chosen = []
    if options.adam:
        chosen += [(ADAM, {"learning_rate": r}) for r in ADAM_LEARNING_RATES]
    chosen += [(LOCOPROP, settings) for settings in _locoprop_settings(options)]
    completed = [(name, complete_settings(name, s)) for name, s in chosen]
    # The outer loop is over seeds: a sweep that is stopped early has seen all.
    for seed in range(options.seeds or SEEDS):
        for name, settings in completed:
            yield {
                "purpose": "sweep",
                "problem": problem.name,
                "optimizer": name,
                "settings": settings,
                "train_examples": examples,
                "batch_size": options.batch_size or problem.batch_size,
                "epochs": options.epochs or problem.epochs,
                "seed": seed,
            }
    if not options.stability:
        return
    examples = min(options.examples or STABILITY_EXAMPLES, available)
    for seed in range(options.seeds or STABILITY_SEEDS):
        for batch_size in STABILITY_BATCH_SIZES:
            yield {
                "purpose": "stability",
                "problem": problem.name,
                "optimizer": LOCOPROP,
                "settings": complete_settings(LOCOPROP, {}),
                "train_examples": examples,
                "batch_size": batch_size,
                "epochs": options.epochs or (1 if batch_size == 32 else 2),
                "seed": seed,
            }


def _locoprop_settings(options):
    """The grid's settings, each with every combination of `--set`."""
    if options.set is None and options.grid is None:
        return []
    grid = [{}]
    if options.grid is not None:
        grid = json.loads(Path(options.grid).read_text(encoding="utf-8"))
    names = [name for name, _ in options.set or ()]
    values = [values for _, values in options.set or ()]
    return [
        settings | dict(zip(names, combination))
        for settings in grid
        for combination in itertools.product(*values)
    ]


def _chosen(task):
    if task == "all":
        return list(problems.PROBLEMS.values())
    return [problems.PROBLEMS[task]]


def _setting(text):
    """Parses `name=value` or `name=value,value`."""
    name, separator, values = text.partition("=")
    if not (name and separator and values):
        raise argparse.ArgumentTypeError(
            f"must be of the form name=value or name=value,value: {text!r}"
        )
    return name, [_value(value) for value in values.split(",")]


def _value(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _brief(configuration):
    defaults = complete_settings(configuration["optimizer"], {})
    changed = [
        f"{name}={value}"
        for name, value in configuration["settings"].items()
        if value != defaults[name]
    ]
    return ", ".join(changed) or "defaults"


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description="Trains with many settings; runs that are there are kept.",
    )
    what = parser.add_argument_group("what to run")
    what.add_argument(
        "--set",
        nargs="*",
        type=_setting,
        metavar="NAME=VALUE[,VALUE...]",
        help="LocoProp with these settings, in all combinations; the defaults "
        "if none are given",
    )
    what.add_argument(
        "--grid", help="LocoProp with each of the settings of a JSON list"
    )
    what.add_argument(
        "--adam", action="store_true", help="Adam at each learning rate"
    )
    what.add_argument(
        "--stability",
        action="store_true",
        help="LocoProp's defaults at several batch sizes on part of the data",
    )
    what.add_argument(
        "--report", action="store_true", help="write sweep.md from sweep.jsonl"
    )
    parser.add_argument(
        "--task", default="all", choices=[*problems.PROBLEMS, "all"]
    )
    parser.add_argument(
        "--seeds",
        type=int,
        help=f"runs of each; {SEEDS}, or {STABILITY_SEEDS} for --stability",
    )
    parser.add_argument("--epochs", type=int, help="in place of the task's own")
    parser.add_argument("--batch-size", type=int, help="likewise")
    parser.add_argument(
        "--examples", type=int, help="train on the first so many only"
    )
    parser.add_argument(
        "--data-dir",
        help="a folder that holds mnist and fashion-mnist with the original "
        "idx files, or a data_dir of TensorFlow Datasets",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="let TensorFlow Datasets fetch what is not there",
    )
    parser.add_argument(
        "--results",
        default=RESULTS,
        help="the folder of sweep.jsonl and sweep.md",
    )
    options = parser.parse_args(arguments)
    asked = (options.adam, options.stability, options.report)
    if not any(asked) and options.set is None and options.grid is None:
        parser.error(
            "give at least one of --set, --grid, --adam, --stability, --report"
        )
    return options


if __name__ == "__main__":
    main()
