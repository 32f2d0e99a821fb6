"""What stands in the cells of the comparison's tables, and a table of them."""

import json
import math
import statistics

from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.tuning import score

MISSING = "–"
COST_HEADER = ["seconds", "compilation, s", "settings"]


def optimizer_cell(optimizer):
    return f"**`{optimizer}`**" if PEERS[optimizer].is_ours else optimizer


def spread_cell(values, template="{:.4g}"):
    median, *ends = (
        number_cell(value, template)
        for value in (statistics.median(values), min(values), max(values))
    )
    return median if len(values) == 1 else f"{median} ({'–'.join(ends)})"


def number_cell(value, template="{:.4g}"):
    if value is None or not math.isfinite(value):
        return "not finite"
    return template.format(value)


def last_values(rows, name):
    """The last values; infinity of runs that did not come to their end."""
    return [
        finite_or_infinite(row["points"][-1].get(name))
        if math.isfinite(score(row))
        else math.inf
        for row in rows
    ]


def finite_or_infinite(value):
    return math.inf if value is None else value


def seeds_cell(runs):
    failed = sum(not math.isfinite(score(row)) for row in runs)
    return f"{len(runs)}, {failed} failed" if failed else str(len(runs))


def seconds_cell(runs):
    return spread_cell(training_seconds(runs), "{:.0f}")


def cost_cells(runs, timed):
    """Seconds of training and of compilation, and the settings.

    Args:
        runs: Rows of one optimizer with one setting.
        timed: Those of them whose seconds count; there may be none.
    """
    settings = settings_cell(runs[0]["configuration"]["settings"])
    if not timed:
        return [MISSING, MISSING, settings]
    seconds = seconds_cell(timed)
    if len(timed) < len(runs):
        seconds += f", {len(timed)} of {len(runs)} runs"
    compilation = [row["points"][0]["compile_seconds"] for row in timed]
    return [seconds, spread_cell(compilation, "{:.1f}"), settings]


def training_seconds(runs):
    """Of the runs that came to their end, if any did."""
    ended = [row for row in runs if math.isfinite(score(row))]
    return [row["points"][-1]["seconds"] for row in ended or runs]


def crossing(points, threshold):
    """The first point at which the training loss is not above a threshold."""
    for point in points:
        if finite_or_infinite(point["train_loss"]) <= threshold:
            return point
    return None


def crossing_cell(runs, threshold):
    """Seconds (epochs) to a training loss, or in how many it is not reached.

    Of two runs it is the slower one, of several the median; a run that does
    not come there is the slowest.
    """
    points = [crossing(row["points"], threshold) for row in runs]
    seconds, epochs = (
        statistics.median_high(p[name] if p else math.inf for p in points)
        for name in ("seconds", "epoch")
    )
    if math.isinf(seconds):
        return f"not in {max(row['points'][-1]['epoch'] for row in runs):g}"
    return f"{seconds:.0f} s ({epochs:g})"


def setting_cell(value):
    if isinstance(value, dict):
        config = value["config"]
        inner = ", ".join(f"{k}={setting_cell(v)}" for k, v in config.items())
        return f"{value['class_name']}({inner})"
    if isinstance(value, list):
        return ", ".join(setting_cell(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_cell(settings):
    return ", ".join(
        f"{k}={setting_cell(v)}" for k, v in sorted(settings.items())
    )


def sortable(value):
    is_number = isinstance(value, (int, float))
    return (0, value, "") if is_number else (1, 0, text_of(value))


def text_of(value):
    return json.dumps(value, sort_keys=True)


def markdown_table(header, lines):
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
