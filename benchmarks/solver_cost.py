"""What a step costs by each solver: seconds, operations, memory.

python -m benchmarks.solver_cost

Networks of equally wide ReLU layers on random numbers, 10 classes: one sweep
over the width, one over the batch size, one over the depth. Each point is timed
in a process of its own, so that its peak of memory is its own, too.
"""

import argparse
import itertools
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np

import keras_locoprop
from benchmarks import operation_count
from benchmarks.records import append_line
from benchmarks.records import read_lines
from benchmarks.records import versions
from benchmarks.stopwatch import MatrixProduct
from benchmarks.stopwatch import Steps
from keras_locoprop import LocoProp
from keras_locoprop.solvers.exact import FIRST_STEPS

RESULTS = Path(__file__).parent / "results" / "solver_cost.jsonl"
CLASSES = 10
ADAM = "Adam"
SOLVERS = {
    ADAM: keras.optimizers.Adam,
    "LocoProp()": LocoProp,
    "gram": lambda: LocoProp(solver="gram"),
    "conjugate gradient": lambda: LocoProp(solver="conjugate_gradient"),
    "exact": lambda: LocoProp(solver="exact"),
    "auto, no scaling": lambda: LocoProp("auto", output_scaling=None),
    "auto, unit": lambda: LocoProp("auto", output_scaling="unit"),
    "auto, full": lambda: LocoProp("auto"),
}
DEFAULT = {"width": 1024, "batch size": 1024, "depth": 3}
SWEEPS = {
    "width": (256, 512, 1024, 2048, 4096),
    "batch size": (64, 256, 1024, 4096, 8192),
    "depth": (1, 3, 6, 12),
}
SECONDS_PER_POINT = 2.0


def make_model(width, depth, optimizer):
    """A classifier of `depth` ReLU layers of `width` units, as many inputs."""
    model = keras_locoprop.Sequential(
        [keras.Input((width,))]
        + [keras.layers.Dense(width, "relu") for _ in range(depth)]
        + [keras.layers.Dense(CLASSES, "softmax")]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def measure(name, width, batch_size, depth, seconds=SECONDS_PER_POINT):
    """Times steps of one solver at one size, in this very process.

    Returns:
        Dict of figures, ready for JSON. Seconds are a mean over a period of
        the curvature's updates: the median step that updates it counts once,
        the median one of the others as often as there are others.
    """
    optimizer = SOLVERS[name]()
    model = make_model(width, depth, optimizer)
    generator = np.random.default_rng(0)
    batch = (
        generator.random((batch_size, width), "float32"),
        generator.integers(CLASSES, size=batch_size),
    )
    product = MatrixProduct(min(2000, 2 * width))
    steps = Steps(model, batch)
    first = steps.first()
    period = getattr(optimizer, "curvature_period", 10)
    for _ in range(FIRST_STEPS - 1):
        steps()
    updates, others, products = [], [], []
    begin = time.perf_counter()
    for step in itertools.count(FIRST_STEPS):
        start = time.perf_counter()
        steps()
        seconds_of_step = time.perf_counter() - start
        (others if step % period else updates).append(seconds_of_step)
        start = time.perf_counter()
        product()
        products.append(time.perf_counter() - start)
        if updates and time.perf_counter() - begin >= seconds:
            break
    of_a_period = statistics.median(updates) + (period - 1) * statistics.median(
        others
    )
    parameters = model.count_params()
    state = sum(
        math.prod(variable.shape) * 4 for variable in optimizer.variables
    )
    return {
        "first_step_seconds": first,
        "seconds": of_a_period / period,
        "operations": _operations(name, optimizer, width, batch_size, depth),
        "operations_per_second": product.operations
        / statistics.median(products),
        "state_bytes_per_parameter": state / parameters,
        "peak_memory_bytes": 1024
        * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def _operations(name, optimizer, width, batch_size, depth):
    units = [width] * (depth + 1) + [CLASSES]
    kernels = [a * b for a, b in zip(units, units[1:])]
    if name == ADAM:
        return operation_count.adam_step(kernels, batch_size)
    if name == "gram":
        return operation_count.gram_step(
            units, batch_size, optimizer.inner_steps
        )
    if name == "conjugate gradient":
        return operation_count.conjugate_gradient_step(
            units, batch_size, optimizer.inner_steps
        )
    period, scaling = optimizer.curvature_period, optimizer.output_scaling
    if name == "exact":
        return operation_count.exact_step(units, batch_size, period, scaling)
    if name.startswith("auto"):
        rows = max(-(-batch_size // 8), 50_000 // CLASSES)
        return operation_count.automatic_step(
            units, batch_size, min(batch_size, rows), period, scaling
        )
    return operation_count.locoprop_step(
        kernels, batch_size, optimizer.inner_steps, optimizer.inner_batch_size
    )


def points():
    """All sizes, each of them once."""
    found = []
    for axis, values in SWEEPS.items():
        for value in values:
            point = DEFAULT | {axis: value}
            if point not in found:
                found.append(point)
    return found


def table(rows, axis, figure="seconds"):
    """A Markdown table of one figure over one sweep; see `FIGURES`."""
    values = SWEEPS[axis]
    lines = [
        f"| {axis} | " + " | ".join(str(value) for value in values) + " |",
        "| --- |" + " --- |" * len(values),
    ]
    at = {
        (row["solver"], row["point"][axis]): row
        for row in rows
        if row["point"] == DEFAULT | {axis: row["point"][axis]}
    }
    for name in SOLVERS:
        cells = []
        for value in values:
            row, adam = at.get((name, value)), at.get((ADAM, value))
            is_there = row is not None and adam is not None
            cells.append(FIGURES[figure](row, adam) if is_there else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables(rows):
    """All tables.

    Returns:
        Dict of figures and axes, as `"seconds by width"`: Markdown.
    """
    return {
        f"{figure} by {axis}": table(rows, axis, figure) + "\n"
        for axis, figure in itertools.product(SWEEPS, FIGURES)
    }


def _seconds(row, adam):
    ratio = row["seconds"] / adam["seconds"]
    return f"{row['seconds']:.3f} s" + (
        f" ({ratio:.1f})" if row is not adam else ""
    )


def _ratio_to_floor(row, _):
    floor = row["operations"] / row["operations_per_second"]
    return f"{row['seconds'] / floor:.1f}"


# The seconds of a step, in parentheses over Adam's; those over the time of its
# matrix products at the rate of large ones; memory.
FIGURES = {
    "seconds": _seconds,
    "ratio to the floor": _ratio_to_floor,
    "peak memory": lambda row, _: f"{row['peak_memory_bytes'] / 1e9:.1f} GB",
    "bytes of state per parameter": lambda row, _: (
        f"{row['state_bytes_per_parameter']:.0f}"
    ),
}


def plot(rows, path):
    """Draws seconds per step against each axis, both logarithmic."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 4.4), sharey=True)
    for panel, axis in zip(axes, SWEEPS):
        for name in SOLVERS:
            of_one = sorted(
                (row["point"][axis], row["seconds"])
                for row in rows
                if row["solver"] == name
                and row["point"] == DEFAULT | {axis: row["point"][axis]}
            )
            if of_one:
                panel.plot(*zip(*of_one), marker="o", markersize=4, label=name)
        panel.set_xscale("log", base=2)
        panel.set_xticks(SWEEPS[axis], map(str, SWEEPS[axis]))
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.set_xlabel(axis)
        panel.grid(alpha=0.3)
        others = [f"{k} {v}" for k, v in DEFAULT.items() if k != axis]
        panel.set_title(", ".join(others), fontsize=10)
    axes[0].set_ylabel("seconds per step")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="lower center",
        ncols=len(SOLVERS),
        fontsize=9,
        frameon=False,
    )
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(path, dpi=110)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--results", type=Path, default=RESULTS)
    add("--plot", type=Path, help="draw the results to this file")
    add("--report", action="store_true", help="only tables and plot")
    add("--one", help="a solver and a point as JSON: measure and print it")
    options = parser.parse_args(arguments)
    if options.one:
        name, point = json.loads(options.one)
        figures = measure(
            name, point["width"], point["batch size"], point["depth"]
        )
        print(json.dumps(figures))
        return
    rows = read_lines(options.results)
    done = [(row["solver"], row["point"]) for row in rows]
    for point in () if options.report else points():
        for name in SOLVERS:
            if (name, point) in done:
                continue
            command = [sys.executable, "-m", "benchmarks.solver_cost"]
            output = subprocess.run(
                [*command, "--one", json.dumps([name, point])],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            row = {"solver": name, "point": point}
            row |= json.loads(output.splitlines()[-1])
            append_line(options.results, row | {"versions": versions()})
            print(f"{name}, {point}: {row['seconds']:.4f} s", flush=True)
    rows = read_lines(options.results)
    for name, text in tables(rows).items():
        print(f"\n{name}\n\n{text}")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
