"""The quadratic model along a few directions, against dense algebra."""

import numpy as np
import pytest
from keras import ops

from keras_locoprop.quadratic_model import adapted_damping
from keras_locoprop.quadratic_model import decrease_of_model
from keras_locoprop.quadratic_model import is_harmful
from keras_locoprop.quadratic_model import minimizer
from keras_locoprop.quadratic_model import minimizer_with_less_of_last

pytestmark = [pytest.mark.backends, pytest.mark.usefixtures("float64")]


def computed(function, *arguments):
    result = function(
        *(ops.convert_to_tensor(each, "float64") for each in arguments)
    )
    return ops.convert_to_numpy(result)


def model(directions, seed=0):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(directions, 2 * directions))
    return generator.normal(size=directions), root @ root.T


def test_minimizer_solves_the_linear_system():
    slopes, curvatures = model(3)
    np.testing.assert_allclose(
        computed(minimizer, slopes, curvatures),
        np.linalg.solve(curvatures, slopes),
        rtol=1e-3,
    )


def test_a_direction_without_curvature_is_left_out():
    slopes, curvatures = model(2)
    curvatures[1] = curvatures[:, 1] = slopes[1] = 0.0
    np.testing.assert_allclose(
        computed(minimizer, slopes, curvatures),
        [slopes[0] / curvatures[0, 0], 0.0],
        rtol=1e-4,
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_others_are_best_for_what_is_left_of_the_last(share):
    slopes, curvatures = model(3)
    last = share * np.linalg.solve(curvatures, slopes)[-1]
    others = np.linalg.solve(
        curvatures[:2, :2], slopes[:2] - last * curvatures[:2, 2]
    )
    np.testing.assert_allclose(
        computed(minimizer_with_less_of_last, slopes, curvatures, share),
        [*others, last],
        rtol=1e-3,
    )


@pytest.mark.parametrize("seed", range(10))
def test_nearly_opposite_directions_do_not_spoil_the_step(seed):
    """Alone, less of one of them would undo what keeps the other in check."""
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(1, 9)) * [[1.0], [-1.0]]
    root += 1e-2 * generator.normal(size=(2, 9))
    slopes, curvatures = generator.normal(size=2), root @ root.T
    coefficients = computed(
        minimizer_with_less_of_last, slopes, curvatures, 0.1
    )
    alone = slopes[0] ** 2 / curvatures[0, 0] / 2
    decrease = float(
        computed(decrease_of_model, coefficients, slopes, curvatures)
    )
    assert decrease >= alone * (1 - 1e-3)


def test_decrease_is_that_of_the_model():
    slopes, curvatures = model(3)
    coefficients = np.array([0.3, -0.2, 0.5])
    np.testing.assert_allclose(
        computed(decrease_of_model, coefficients, slopes, curvatures),
        coefficients @ slopes - coefficients @ curvatures @ coefficients / 2,
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    ("rise", "loss", "harmful"),
    [
        (-1.0, 10.0, False),
        (0.1, 10.0, True),
        (0.1, -10.0, True),
        # What rounding makes of a loss that stays as it is.
        (1e-3, 10.0, False),
        (float("nan"), 10.0, True),
        (float("inf"), 10.0, True),
    ],
)
def test_a_step_is_harmful_that_raises_the_loss(rise, loss, harmful):
    assert bool(computed(is_harmful, rise, loss)) is harmful


@pytest.mark.parametrize(
    "ratio, expected",
    [(0.9, 1.0), (0.5, 2.0), (0.1, 4.0), (-3.0, 4.0), (np.nan, 4.0)],
)
def test_damping_follows_how_well_the_model_foretold(ratio, expected):
    less, more, damping = 1.0, 4.0, 2.0
    assert computed(
        adapted_damping, damping, ratio, less, more, 0.1, 10.0
    ) == pytest.approx(expected)
    bounds = 1.5, 3.0
    assert computed(
        adapted_damping, damping, ratio, less, more, *bounds
    ) == pytest.approx(np.clip(expected, *bounds))
