"""Seconds per training step: LocoProp beside Adam and beside a floor.

python -m benchmarks.step_time [--backend BACKEND]
"""

import argparse
import statistics

import keras

import keras_locoprop
from benchmarks import chosen_backend
from benchmarks import operation_count
from benchmarks import problems
from benchmarks.records import append_line
from benchmarks.records import versions
from benchmarks.stopwatch import ForwardBackward
from benchmarks.stopwatch import MatrixProduct
from benchmarks.stopwatch import Steps
from benchmarks.stopwatch import interleaved_seconds

ADAM = "Adam"
ALL_ROWS = "LocoProp, all rows"
SLICES = "LocoProp, default"
FORWARD_BACKWARD = "forward and backward"
MATRIX_PRODUCT = "matrix product"

_TABLE = (
    ("first step, with compilation (s)", "first_step_seconds", "{:.2f}"),
    ("step, median (s)", "step_seconds", "{:.5f}"),
    ("  forward and backward (s)", "forward_backward_seconds", "{:.5f}"),
    ("  solves: the difference (s)", "solve_seconds", "{:.5f}"),
    ("step, fastest (s)", "fastest_step_seconds", "{:.5f}"),
    ("ratio to Adam, medians", "ratio_to_adam", "{:.2f}"),
    ("ratio to Adam, fastest", "fastest_ratio_to_adam", "{:.2f}"),
    ("floating-point operations (10⁹)", "operations", "{:.2f}"),
    ("floor: operations / rate (s)", "floor_seconds", "{:.5f}"),
    ("ratio to the floor, medians", "ratio_to_floor", "{:.2f}"),
    ("ratio to the floor, fastest", "fastest_ratio_to_floor", "{:.2f}"),
)

_NOTES = """\
Steps are timed in turn on one random batch that stays in memory. The forward
and backward pass is a compiled train step that stops before the solves; the
seconds of the solves are the difference, with targets and application in them.
The floor counts matrix products only, at the median rate of a large one,
measured between the steps; "fastest" compares the fastest step with the floor
at the fastest rate."""

_BUSY = """\
The machine was busy with something else: the median matrix product took {:.1f}
times as long as the fastest. The ratios of the fastest are nearer the truth.
"""

# On an idle machine the median is a few per cent above the fastest.
_BUSY_RATIO = 1.25


def main(arguments=None):
    options = _parse(arguments)
    if chosen_backend.ran_elsewhere("benchmarks.step_time", options, arguments):
        return
    record = {
        "backend": options.backend,
        "rounds": options.rounds,
        "steps": options.steps,
        "problems": {},
        "versions": versions(),
    }
    for problem in (problems.AUTOENCODER, problems.CLASSIFIER):
        if options.smoke:
            problem = _small(problem)
        figures = measure(
            problem, options.rounds, options.steps, options.matrix_size
        )
        record["problems"][problem.name] = figures
        print(format_figures(problem, figures), flush=True)
    print(_NOTES)
    print(", ".join(f"{k} {v}" for k, v in record["versions"].items()))
    if options.json:
        append_line(options.json, record)


def measure(problem, rounds, steps, matrix_size):
    """Times one problem.

    Args:
        problem: `problems.Problem`.
        rounds: Integer, how often all optimizers have their turn.
        steps: Integer, the steps of each turn.
        matrix_size: Integer: the rate is that of square matrices of this size.

    Returns:
        Dict of figures, ready for JSON.
    """
    optimizers = {
        ADAM: keras.optimizers.Adam(),
        ALL_ROWS: keras_locoprop.LocoProp(inner_batch_size="all"),
        SLICES: keras_locoprop.LocoProp(),
    }
    batch = problems.random_batch(problem, problem.batch_size)
    product = MatrixProduct(matrix_size)
    tasks, first_step_seconds = {}, {}
    for name, optimizer in optimizers.items():
        sequential = keras_locoprop.Sequential
        if name == ADAM:
            sequential = keras.Sequential
        tasks[name] = _steps(problem, sequential, optimizer, batch)
        first_step_seconds[name] = tasks[name].first()
    tasks[FORWARD_BACKWARD] = _steps(problem, ForwardBackward, "sgd", batch)
    tasks[MATRIX_PRODUCT] = product
    seconds = interleaved_seconds(tasks, rounds, steps)

    medians = {name: statistics.median(seconds[name]) for name in tasks}
    fastest = {name: min(seconds[name]) for name in tasks}
    rate = product.operations / medians[MATRIX_PRODUCT]
    fastest_rate = product.operations / fastest[MATRIX_PRODUCT]
    figures = {}
    for name, optimizer in optimizers.items():
        operations = _operations(problem, optimizer)
        figures[name] = {
            "first_step_seconds": first_step_seconds[name],
            "step_seconds": medians[name],
            "fastest_step_seconds": fastest[name],
            "ratio_to_adam": medians[name] / medians[ADAM],
            "fastest_ratio_to_adam": fastest[name] / fastest[ADAM],
            "operations": operations,
            "floor_seconds": operations / rate,
            "ratio_to_floor": medians[name] * rate / operations,
            "fastest_ratio_to_floor": (
                fastest[name] * fastest_rate / operations
            ),
        }
        if name != ADAM:
            forward_backward = medians[FORWARD_BACKWARD]
            figures[name] |= {
                "forward_backward_seconds": forward_backward,
                "solve_seconds": medians[name] - forward_backward,
                "inner_steps": optimizer.inner_steps,
                "inner_batch_size": optimizer.inner_batch_size,
            }
    return {
        "units": [problem.inputs] + [units for units, _ in problem.layers],
        "batch_size": problem.batch_size,
        "matrix_size": matrix_size,
        "operations_per_second": rate,
        "fastest_operations_per_second": fastest_rate,
        "optimizers": figures,
    }


def format_figures(problem, figures):
    """Lays the figures of one problem out as a table, as text."""
    optimizers = figures["optimizers"]
    units = "-".join(str(units) for units in figures["units"])
    rate = figures["operations_per_second"] / 1e9
    fastest_rate = figures["fastest_operations_per_second"] / 1e9
    size = figures["matrix_size"]
    steps = optimizers[SLICES]["inner_steps"]
    lines = [
        f"{problem.name}: {units}, batch size {figures['batch_size']}",
        f"matrix products ({size} x {size}, float32): {rate:.1f}·10⁹ "
        f"operations per second, {fastest_rate:.1f}·10⁹ at the fastest",
        f"LocoProp takes {steps} inner steps",
        "",
        _row("", optimizers),
    ]
    for label, figure, form in _TABLE:
        scale = 1e-9 if figure == "operations" else 1
        cells = [
            form.format(of_one[figure] * scale) if figure in of_one else ""
            for of_one in optimizers.values()
        ]
        lines.append(_row(label, cells))
    if fastest_rate > _BUSY_RATIO * rate:
        lines += ["", _BUSY.format(fastest_rate / rate).rstrip()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description="Times a training step of LocoProp and of Adam.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    chosen_backend.add_option(parser)
    parser.add_argument(
        "--rounds", type=int, default=7, help="turns of every optimizer"
    )
    parser.add_argument(
        "--steps", type=int, default=5, help="steps of every turn"
    )
    parser.add_argument(
        "--json", help="append all figures to this file, as one line of JSON"
    )
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="small networks and few steps: whether it runs, not how fast",
    )
    options = parser.parse_args(arguments)
    options.matrix_size = 2000
    if options.smoke:
        options.rounds, options.steps, options.matrix_size = 1, 3, 200
    return options


def _small(problem):
    (_, activation), *_, output = problem.layers
    return problem._replace(layers=((8, activation), output), batch_size=96)


def _steps(problem, sequential, optimizer, batch):
    model = problems.make_model(problem, sequential)
    model.compile(optimizer=optimizer, loss=problem.loss)
    return Steps(model, batch)


def _operations(problem, optimizer):
    sizes, batch_size = problem.kernel_sizes, problem.batch_size
    if isinstance(optimizer, keras_locoprop.LocoProp):
        return operation_count.locoprop_step(
            sizes,
            batch_size,
            optimizer.inner_steps,
            optimizer.inner_batch_size,
        )
    return operation_count.adam_step(sizes, batch_size)


def _row(label, cells):
    return f"{label:34}" + "".join(f"{cell:>20}" for cell in cells)


if __name__ == "__main__":
    main()
