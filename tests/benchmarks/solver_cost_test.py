import json

import pytest

from benchmarks import solver_cost


@pytest.mark.parametrize("name", solver_cost.SOLVERS)
def test_every_solver_is_measured(name):
    figures = solver_cost.measure(name, 16, 32, 1, seconds=0.0)
    assert figures["seconds"] > 0
    assert figures["peak_memory_bytes"] > 1e6
    assert figures["operations"] > 0
    json.dumps(figures)


def test_state_is_counted():
    """Adam keeps two numbers for each parameter, and three of its own."""
    figures = solver_cost.measure("Adam", 16, 32, 1, seconds=0.0)
    parameters = 17 * 16 + 17 * 10
    expected = 4 * (2 * parameters + 2) / parameters
    assert figures["state_bytes_per_parameter"] == pytest.approx(expected)


def test_points_are_the_three_sweeps():
    points = solver_cost.points()
    assert len(points) == 5 + 4 + 3
    assert solver_cost.DEFAULT in points


def test_table_and_plot(tmp_path):
    rows = [
        {
            "solver": name,
            "point": solver_cost.DEFAULT | {"width": width},
            "seconds": seconds * width,
            "operations": 4e9,
            "operations_per_second": 2e11,
            "peak_memory_bytes": 1e9,
            "state_bytes_per_parameter": 8.0,
        }
        for name, seconds in (("Adam", 0.001), ("auto, full", 0.003))
        for width in (256, 1024)
    ]
    table = solver_cost.table(rows, "width").splitlines()
    assert table[2].startswith("| Adam | 0.256 s |  | 1.024 s |")
    assert table[-1].startswith("| auto, full | 0.768 s (3.0) |")
    last_cells = {
        figure: solver_cost.table(rows, "width", figure)
        .splitlines()[-1]
        .split("|")[2]
        .strip()
        for figure in solver_cost.FIGURES
    }
    assert last_cells == {
        "seconds": "0.768 s (3.0)",
        "ratio to the floor": "38.4",
        "peak memory": "1.0 GB",
        "bytes of state per parameter": "8",
    }
    path = tmp_path / "cost.png"
    solver_cost.plot(rows, path)
    assert path.stat().st_size > 10_000
