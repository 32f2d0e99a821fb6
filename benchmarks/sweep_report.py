"""The tables of the sweep, from its rows alone."""

import json
import math
import statistics

from benchmarks.training_run import ADAM
from benchmarks.training_run import LOCOPROP

_SETTINGS = {
    "learning_rate": "learning rate",
    "activation_learning_rate": "γ",
    "momentum": "momentum",
    "inner_steps": "inner steps",
    "inner_batch_size": "inner batch size",
}

_INTRODUCTION = """\
# Sweep behind the defaults

Written by `python -m benchmarks.sweep --report` from `sweep.jsonl`; see
[the benchmarks' README](../README.md) for what was run. Losses are medians over
seeds, with the smallest and the largest in parentheses: the train loss over the
whole training set with the weights at the end of the epoch, the loss and the
accuracy on the test set after the last one. All optimizers start from the same
weights and see the same batches at a given seed; all rates are constant. The
seconds per epoch are medians, without the first epoch, which compiles, where
there are others. They compare only runs that had the machine to themselves.
"""


def format_report(rows, defaults):
    """Writes the report.

    Args:
        rows: List of dicts that `training_run.train` returned, in any order.
        defaults: Dict, the complete settings of LocoProp's defaults.

    Returns:
        String, Markdown.
    """
    sweep = [r for r in rows if r["configuration"]["purpose"] == "sweep"]
    stability = [
        r for r in rows if r["configuration"]["purpose"] == "stability"
    ]
    parts = [_INTRODUCTION]
    groups = _grouped(
        sweep, "problem", "train_examples", "batch_size", "epochs"
    )
    for (problem, examples, batch_size, epochs), members in groups.items():
        parts.append(
            f"## {problem}: {examples:,} examples, batch size {batch_size:,}, "
            f"epochs: {epochs}\n"
        )
        parts.append(_sweep_table(members, defaults))
    if stability:
        parts.append("## Stability of the defaults\n")
        parts.append(_stability_table(stability))
    parts.append("## Versions\n")
    parts.append(_versions(rows))
    return "\n".join(parts)


def summary(rows, defaults, automatic):
    """A short table: the defaults, beside Adam at its best rate.

    Args:
        rows: As in `format_report`.
        defaults: Likewise.
        automatic: Dict, the complete settings of `LocoProp("auto")`.

    Returns:
        String, Markdown.
    """
    header = ["task", "batch size, epochs", "Adam, best of five rates"]
    header += ["`LocoProp()`", '`LocoProp("auto")`']
    lines = []
    sweep = [r for r in rows if r["configuration"]["purpose"] == "sweep"]
    for (problem, batch_size, epochs), members in _grouped(
        sweep, "problem", "batch_size", "epochs"
    ).items():
        runs = sorted(
            _grouped(members, "optimizer", "settings").values(), key=_rank
        )
        shown = [
            next((run for run in runs if is_meant(run)), None)
            for is_meant in (
                lambda run: _optimizer(run) == ADAM,
                lambda run: _settings(run) == defaults,
                lambda run: _settings(run) == automatic,
            )
        ]
        cells = [problem, f"{batch_size}, {epochs}"]
        cells += ["–" if run is None else _brief(run) for run in shown]
        lines.append(cells)
    return _table(header, lines)


def _brief(run):
    def median(values):
        return statistics.median(map(_number, values))

    train, test = (
        _format(median([row[name][-1] for row in run]))
        for name in ("train_loss", "test_loss")
    )
    accuracies = [
        row["test_accuracy"][-1] for row in run if row["test_accuracy"]
    ]
    if accuracies:
        test = f"{100 * median(accuracies):.1f} %"
    return f"{train}, {test}"


def _sweep_table(rows, defaults):
    runs = sorted(_grouped(rows, "optimizer", "settings").values(), key=_rank)
    best_adam = next((run for run in runs if _optimizer(run) == ADAM), None)
    of_locoprop = [
        _settings(run) for run in runs if _optimizer(run) == LOCOPROP
    ]
    settings = _SETTINGS | {
        name: name.replace("_", " ")
        for name in _varying(of_locoprop)
        if name not in _SETTINGS
    }
    has_accuracy = any(row["test_accuracy"] for row in rows)
    header = ["optimizer", *settings.values(), "seeds"]
    header += ["train loss, epoch 1", "train loss", "test loss"]
    header += ["test accuracy"] if has_accuracy else []
    header += ["seconds per epoch"]
    lines = []
    for run in runs:
        label = _optimizer(run)
        if run is best_adam:
            label = f"**{ADAM} (best)**"
        if label == LOCOPROP and _settings(run) == defaults:
            label = f"**{LOCOPROP} (default)**"
        cells = [label]
        cells += [_cell(_settings(run), name) for name in settings]
        cells += [str(len(run))]
        cells += [_spread([row["train_loss"][0] for row in run])]
        cells += [_spread([row["train_loss"][-1] for row in run])]
        cells += [_spread([row["test_loss"][-1] for row in run])]
        if has_accuracy:
            cells += [_spread([row["test_accuracy"][-1] for row in run])]
        cells += [f"{_seconds(run):.3g}"]
        lines.append(cells)
    return _table(header, lines)


def _stability_table(rows):
    header = ["problem", "examples", "batch size", "epochs", "defaults"]
    header += ["runs", "not finite", "no better than at the start"]
    header += ["skipped steps", "train loss"]
    groups = _grouped(
        rows, "problem", "train_examples", "batch_size", "epochs", "settings"
    )
    lines = []
    for (problem, examples, batch_size, epochs, _), runs in groups.items():
        worse = [
            _number(run["test_loss"][-1]) >= _number(run["initial_test_loss"])
            for run in runs
        ]
        lines.append(
            [
                problem,
                f"{examples:,}",
                f"{batch_size:,}",
                str(epochs),
                ", ".join(
                    f"{title} {_cell(_settings(runs), name)}"
                    for name, title in _SETTINGS.items()
                ),
                str(len(runs)),
                str(sum(not run["finite"] for run in runs)),
                str(sum(worse)),
                str(sum(run["skipped_steps"] for run in runs)),
                _spread([run["train_loss"][-1] for run in runs]),
            ]
        )
    return _table(header, lines)


def _versions(rows):
    lines = sorted(
        {
            ", ".join(f"{k} {v}" for k, v in row["versions"].items())
            for row in rows
        }
    )
    return "".join(f"- {line}\n" for line in lines)


def _grouped(rows, *names):
    """Groups rows by parts of their configuration, in order of the parts."""
    groups = {}
    for row in rows:
        parts = [row["configuration"][name] for name in names]
        groups.setdefault(json.dumps(parts, sort_keys=True), []).append(row)
    by_seed = {
        text: sorted(members, key=lambda row: row["configuration"]["seed"])
        for text, members in groups.items()
    }
    parts = {text: _hashable(json.loads(text)) for text in groups}
    order = sorted(groups, key=lambda text: parts[text])
    return {parts[text]: by_seed[text] for text in order}


def _hashable(parts):
    return tuple(
        json.dumps(part, sort_keys=True) if isinstance(part, dict) else part
        for part in parts
    )


def _varying(settings):
    names = sorted({name for of_one in settings for name in of_one})
    return [
        name
        for name in names
        if len({json.dumps(of_one.get(name)) for of_one in settings}) > 1
    ]


def _rank(run):
    loss = statistics.median(_number(row["train_loss"][-1]) for row in run)
    return loss, json.dumps(run[0]["configuration"], sort_keys=True)


def _optimizer(run):
    return run[0]["configuration"]["optimizer"]


def _settings(run):
    return run[0]["configuration"]["settings"]


def _number(value):
    return math.inf if value is None else value


def _spread(values):
    values = [_number(value) for value in values]
    median = _format(statistics.median(values))
    if len(values) == 1:
        return median
    return f"{median} ({_format(min(values))}–{_format(max(values))})"


def _format(value):
    return f"{value:.4g}" if math.isfinite(value) else "not finite"


def _seconds(run):
    return statistics.median(
        seconds
        for row in run
        for seconds in row["seconds_per_epoch"][1:] or row["seconds_per_epoch"]
    )


def _cell(settings, name):
    if name not in settings:
        return ""
    value = settings[name]
    return "default" if value is None else str(value)


def _table(header, lines):
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
