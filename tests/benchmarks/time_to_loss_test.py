import keras
import numpy as np
import pytest

import keras_locoprop
from benchmarks import problems
from benchmarks import time_to_loss
from keras_locoprop import LocoProp

POINTS = [
    {"epoch": 0.5, "seconds": 2.0, "train_loss": 130.0, "test_loss": 131.0},
    {"epoch": 1.0, "seconds": 4.0, "train_loss": 79.0, "test_loss": 80.0},
    {"epoch": 1.5, "seconds": 6.0, "train_loss": 81.0, "test_loss": 82.0},
]


def test_crossing_is_the_first_point_below():
    assert time_to_loss.crossing(POINTS, 120) is POINTS[1]
    assert time_to_loss.crossing(POINTS, 79) is POINTS[1]
    assert time_to_loss.crossing(POINTS, 70) is None


def test_the_table_has_a_row_for_each_run():
    row = {"name": "Adam", "batch_size": 1000, "points": POINTS}
    [_, _, line] = time_to_loss.table([row]).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["`Adam`", "1000", "4 s (1)", "4 s (1)", "–"]
    assert cells[-1] == "81.00, test 82.00, 6 s (1.5)"


@pytest.mark.parametrize(
    "make", [lambda: keras.optimizers.Adam(1e-3), lambda: LocoProp("auto")]
)
def test_warming_up_leaves_no_trace(make):
    x = np.random.uniform(size=(24, 8)).astype("float32")
    data = problems.Data(x, x, x[:8], x[:8])
    problem = problems.AUTOENCODER._replace(
        inputs=8, layers=((4, "tanh"), (8, "sigmoid"))
    )
    model = problems.make_model(problem, keras_locoprop.Sequential)
    [half, whole] = time_to_loss.train(model, make(), data, 4, 1, seed=3)
    assert (half["epoch"], whole["epoch"]) == (0.5, 1.0)
    assert 0 < half["seconds"] < whole["seconds"]
    assert int(model.optimizer.iterations) == 6

    twin = problems.make_model(problem, keras_locoprop.Sequential)
    twin.compile(make(), "binary_crossentropy", loss_weights=784.0)
    order = np.random.default_rng((3, 0)).permutation(24)
    for indices in np.array_split(order, time_to_loss.PARTS):
        twin.fit(x[indices], x[indices], batch_size=4, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
