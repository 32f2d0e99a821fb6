import json

import keras
import numpy as np
import pytest

from benchmarks import operation_count
from benchmarks import problems
from benchmarks import step_time
from benchmarks.stopwatch import ForwardBackward
from benchmarks.stopwatch import Steps
from benchmarks.stopwatch import interleaved_seconds

pytestmark = pytest.mark.backends

# Kernels of 3 x 4 and 4 x 2, 20 entries together, and a batch of 10:
# forward 2 · 10 · 20 = 400, backward to the second layer's inputs
# 2 · 10 · 8 = 160, one product of all rows with all kernels 400.
KERNEL_SIZES = [12, 8]


def test_operations_of_forward_and_backward():
    count = operation_count.forward_and_backward(KERNEL_SIZES, 10)
    assert count == 400 + 160


def test_operations_of_adam():
    assert operation_count.adam_step(KERNEL_SIZES, 10) == 400 + 160 + 400


@pytest.mark.parametrize(
    "inner_steps, inner_batch_size, expected",
    [
        (1, "all", 560 + 400),
        (3, "all", 560 + 400 + 800 + 800),
        # Slices of 5 rows: half of each product.
        (3, 5, 560 + 200 + 400 + 400),
        # Ten rows are too few to be cut by default.
        (2, None, 560 + 400 + 800),
    ],
)
def test_operations_of_locoprop(inner_steps, inner_batch_size, expected):
    count = operation_count.locoprop_step(
        KERNEL_SIZES, 10, inner_steps, inner_batch_size
    )
    assert count == expected


def test_operations_of_an_automatic_step():
    """Layers of 3 x 4 and 4 x 2, with a bias: Gram matrices of 4 and 5."""
    adam = 560 + 400
    solutions = 2 * (4 * 4 * 4 + 5 * 5 * 2)
    products = 2 * 5 * (20 * 3 + 8 * 2)
    moments = 2 * 10 * (16 + 25)
    inverses = 10 * 64 // 3 + 10 * 125 // 3
    count = operation_count.automatic_step([3, 4, 2], 10, 5, 1, "unit")
    losses = 2 * 20 * (5 + 10 // 5)
    exact = adam + solutions + 560 + moments + inverses
    assert count == exact + products + losses
    of_outputs = 2 * (4 * 4 * 4 + 5 * 2 * 2)
    of_outputs += 2 * 10 * (16 + 4) + 10 * 64 // 3 + 10 * 8 // 3
    full = operation_count.automatic_step([3, 4, 2], 10, 5, 1)
    assert full == count + of_outputs


def test_operations_of_gram_steps():
    """The first of three steps needs no product with the Gram matrix."""
    grams = 2 * 10 * (16 + 25)
    products = 2 * (4 * 3 * 4 + 5 * 4 * 2)
    count = operation_count.gram_step([3, 4, 2], 10, 3)
    assert count == 560 + 400 + grams + 2 * products


def test_operations_of_conjugate_gradients():
    count = operation_count.conjugate_gradient_step([3, 4, 2], 10, 3)
    assert count == 560 + 400 + 3 * 2 * 400


def test_operations_of_uneven_slices_make_whole_passes():
    # Slices of 3, 3 and 4 rows.
    count = operation_count.locoprop_step(KERNEL_SIZES, 10, 3, 4)
    assert count == 560 + 2 * 20 * (3 + 2 * 3 + 2 * 4)


def test_forward_backward_gives_the_gradient_at_every_preactivation():
    problem = problems.REGRESSION
    x, y = problems.random_batch(problem, 4)
    model = problems.make_model(problem, ForwardBackward)
    model.compile(optimizer="sgd", loss=problem.loss)
    before = model.get_weights()
    logs = model.train_on_batch(x, y, return_dict=True)
    gradients = [logs[f"gradient {i}"] for i in range(len(problem.layers))]
    assert [g.shape for g in gradients] == [(4, 64), (4, 64), (4, 1)]
    prediction = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(
        gradients[-1], 2 * (prediction - y) / 4, rtol=1e-4, atol=1e-6
    )
    for weight, start in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, start)


def test_steps_train_on_the_same_batch():
    problem = problems.REGRESSION
    model = problems.make_model(problem)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=problem.loss)
    steps = Steps(model, problems.random_batch(problem, 8))
    assert steps.first() > 0
    assert int(model.optimizer.iterations) == 1
    model.reset_metrics()
    losses = [steps() for _ in range(3)]
    assert int(model.optimizer.iterations) == 4
    assert losses == sorted(losses, reverse=True)


def test_tasks_take_turns():
    calls = []
    tasks = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = interleaved_seconds(tasks, rounds=2, steps=3)
    assert "".join(calls) == "ab" + "aaabbb" * 2
    assert {name: len(values) for name, values in seconds.items()} == {
        "a": 6,
        "b": 6,
    }


def test_smoke(tmp_path, capsys):
    path = tmp_path / "step_time.jsonl"
    step_time.main(["--smoke", "--json", str(path)])
    (line,) = path.read_text().splitlines()
    record = json.loads(line)
    assert set(record["problems"]) == {"autoencoder", "classifier"}
    assert record["backend"] == keras.backend.backend()
    assert record["backend"] in record["versions"]
    assert record["versions"]["keras"] == keras.__version__
    printed = capsys.readouterr().out
    for figures in record["problems"].values():
        _check(figures, printed)


def _check(figures, printed):
    rate = figures["operations_per_second"]
    batch_size = figures["batch_size"]
    inputs, hidden, outputs = figures["units"]
    adam, all_rows, slices = figures["optimizers"].values()
    for of_one in (adam, all_rows, slices):
        seconds = of_one["step_seconds"]
        fastest = of_one["fastest_step_seconds"]
        assert 0 < fastest <= seconds
        assert of_one["first_step_seconds"] > 0
        assert of_one["ratio_to_adam"] == pytest.approx(
            seconds / adam["step_seconds"]
        )
        assert of_one["fastest_ratio_to_adam"] == pytest.approx(
            fastest / adam["fastest_step_seconds"]
        )
        assert of_one["floor_seconds"] == pytest.approx(
            of_one["operations"] / rate
        )
        assert of_one["ratio_to_floor"] == pytest.approx(
            seconds / of_one["floor_seconds"]
        )
        assert of_one["fastest_ratio_to_floor"] == pytest.approx(
            fastest
            * figures["fastest_operations_per_second"]
            / of_one["operations"]
        )
        assert f"{seconds:.5f}" in printed
    parameters = hidden * (inputs + outputs)
    assert adam["operations"] == 2 * batch_size * (
        2 * parameters + hidden * outputs
    )
    # Small batches are not cut.
    assert all_rows["operations"] >= slices["operations"]
    for locoprop in (all_rows, slices):
        assert locoprop["solve_seconds"] == pytest.approx(
            locoprop["step_seconds"] - locoprop["forward_backward_seconds"]
        )
