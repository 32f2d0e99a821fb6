"""What every backend has to do, whichever it is."""

import importlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_locoprop import backend

pytestmark = [pytest.mark.backends, pytest.mark.usefixtures("float64")]

INPUTS = np.array([[1.0, 2.0], [3.0, -1.0]])
VECTOR = np.array([[0.5, -1.0], [2.0, 0.25]])


def make_weights():
    values = [[2.0, -3.0], [0.5, 0.25]]
    return [keras.Variable(value, dtype="float64") for value in values]


def outputs(weights):
    """`x · a + b³`, with a Jacobian that is easily written down."""
    return ops.convert_to_tensor(INPUTS) * weights[0] + weights[1] ** 3


@pytest.mark.parametrize("file", backend.FUNCTIONS)
def test_the_functions_are_there(file):
    module = importlib.import_module(
        f"keras_locoprop.backend.{keras.backend.backend()}.{file}"
    )
    for name in backend.FUNCTIONS[file]:
        assert getattr(backend, name) is getattr(module, name)
        assert callable(getattr(backend, name))


def test_gradient():
    variable = keras.Variable([1.0, -2.0])
    gradient = backend.gradient(keras.regularizers.L2(0.5), variable)
    np.testing.assert_allclose(gradient, [1.0, -2.0])


def test_gradient_of_a_constant():
    gradient = backend.gradient(
        lambda value: ops.convert_to_tensor(3.0), keras.Variable([1.0, -2.0])
    )
    np.testing.assert_allclose(gradient, [0.0, 0.0])


def test_differentiate():
    weight, unused = keras.Variable([2.0]), keras.Variable([2.0])
    other = keras.Variable([0.0], trainable=False)

    def forward():
        tripled = backend.probe(weight * 3.0)
        idle = backend.probe(weight * 5.0)
        other.assign(tripled + 1.0)
        kept = {"tensor": tripled + 1.0, "name": "of it", "nothing": None}
        return ops.sum(tripled**2), [tripled, idle], kept

    kept, of_probed, of_weights = backend.differentiate(
        forward, [weight, unused]
    )
    np.testing.assert_allclose(kept["tensor"], [7.0])
    assert (kept["name"], kept["nothing"]) == ("of it", None)
    np.testing.assert_allclose(of_probed[0], [12.0])
    np.testing.assert_allclose(of_weights[0], [36.0])
    assert of_probed[1] is None
    assert of_weights[1] is None
    np.testing.assert_allclose(ops.convert_to_numpy(other), [7.0])


def test_differentiate_a_constant():
    weight = keras.Variable([2.0])

    def forward():
        probed = backend.probe(weight * 3.0)
        return ops.convert_to_tensor(1.0), [probed], {}

    _, at_probes, of_weights = backend.differentiate(forward, [weight])
    assert list(at_probes) == list(of_weights) == [None]


def test_differentiate_where_gradients_are_stopped():
    """Zero would stand for a gradient that happens to be so."""
    weight, other = keras.Variable([2.0]), keras.Variable([3.0])

    def forward():
        stopped = backend.probe(weight * 3.0)
        probed = backend.probe(other * ops.stop_gradient(stopped))
        return ops.sum(probed**2), [stopped, probed], {}

    _, at_probes, of_weights = backend.differentiate(forward, [weight, other])
    assert at_probes[0] is of_weights[0] is None
    np.testing.assert_allclose(at_probes[1], [36.0])
    np.testing.assert_allclose(of_weights[1], [216.0])


def test_jacobian_products_of_an_output_that_moves_with_no_weight():
    weights = make_weights()
    fixed = ops.convert_to_tensor(INPUTS)
    direction = [ops.ones_like(weights[0].value), None]
    for others in ([], [outputs]):
        _, _, [products] = backend.jacobian_products(
            lambda others=others: (
                [fixed, *(f(weights) for f in others)],
                None,
            ),
            weights,
            [direction],
        )
        np.testing.assert_allclose(products[0], np.zeros_like(INPUTS))
        for product in products[1:]:
            np.testing.assert_allclose(product, INPUTS)


def test_jacobian_products_through_a_gradient_of_ones_own():
    weights = make_weights()

    @ops.custom_gradient
    def reverse(tensor):
        def of_tensor(*args, upstream=None):
            return -(args[0] if upstream is None else upstream)

        return tensor, of_tensor

    direction = [ops.convert_to_tensor([1.0, 4.0], "float64"), None]
    _, _, [products] = backend.jacobian_products(
        lambda: ([reverse(outputs(weights))], None), weights, [direction]
    )
    np.testing.assert_allclose(products[0], -INPUTS * [1.0, 4.0])


def test_call_aside():
    variable = keras.Variable([2.0])

    def change(inputs):
        variable.assign(inputs)
        return [variable.value]

    inputs = ops.convert_to_tensor([3.0])
    assert len(backend.call_aside(change, inputs, [variable])) == 1
    np.testing.assert_allclose(ops.convert_to_numpy(variable), [2.0])


def test_pulled_back():
    weight = keras.Variable([2.0, 3.0])

    def forward():
        probed = backend.probe(weight * 1.0)
        outputs = [probed**2, 5.0 * probed]
        return outputs, [probed], outputs

    kept, [gradient] = backend.pulled_back(
        forward, lambda outputs: [outputs[1], outputs[0]]
    )
    np.testing.assert_allclose(kept[0], [4.0, 9.0])
    # 2 w · 5 w + 5 · w².
    np.testing.assert_allclose(gradient, [60.0, 135.0])


def test_vector_jacobian_product():
    weights = make_weights()
    frozen = keras.Variable([1.0, 1.0], dtype="float64", trainable=False)
    products = backend.vector_jacobian_product(
        lambda: outputs(weights) + frozen,
        [*weights, frozen],
        ops.convert_to_tensor(VECTOR),
    )
    sums = VECTOR.sum(axis=0)
    np.testing.assert_allclose(products[0], (INPUTS * VECTOR).sum(axis=0))
    np.testing.assert_allclose(products[1], 3 * np.square([0.5, 0.25]) * sums)
    np.testing.assert_allclose(products[2], sums)


def test_jacobian_products():
    weights = make_weights()
    a, b = np.array([1.0, 4.0]), np.array([-2.0, 1.0])
    values, kept, products = backend.jacobian_products(
        lambda: ([outputs(weights)], "kept"),
        weights,
        [
            [ops.convert_to_tensor(a), ops.convert_to_tensor(b)],
            [None, ops.convert_to_tensor(b)],
        ],
    )
    assert kept == "kept"
    np.testing.assert_allclose(
        values[0], INPUTS * [2.0, -3.0] + np.power([0.5, 0.25], 3)
    )
    of_b = np.tile(3 * np.square([0.5, 0.25]) * b, (2, 1))
    np.testing.assert_allclose(products[0][0], INPUTS * a + of_b)
    np.testing.assert_allclose(products[1][0], of_b)


def test_hessian_products():
    point = ops.convert_to_tensor([1.0, 2.0], "float64")
    direction = ops.convert_to_tensor([3.0, -1.0], "float64")
    unused = ops.convert_to_tensor([1.0], "float64")
    gradient, products = backend.hessian_products(
        lambda points: ops.sum(points[0] ** 3),
        [point, unused],
        [[direction, unused], [direction * 2.0, unused]],
    )
    np.testing.assert_allclose(gradient[0], [3.0, 12.0])
    np.testing.assert_allclose(products[0][0], [18.0, -12.0])
    np.testing.assert_allclose(products[1][0], [36.0, -24.0])
    np.testing.assert_allclose(products[0][1], [0.0])


def test_hessian_products_of_a_linear_function_are_zero():
    point = ops.convert_to_tensor([1.0, 2.0], "float64")
    gradient, products = backend.hessian_products(
        lambda points: ops.sum(3.0 * points[0]), [point], [[point]]
    )
    np.testing.assert_allclose(gradient[0], [3.0, 3.0])
    np.testing.assert_allclose(products[0][0], [0.0, 0.0])


def test_function_vector_product():
    product = backend.function_vector_product(
        lambda tensor: tensor**2,
        ops.convert_to_tensor([1.0, -2.0], "float64"),
        ops.convert_to_tensor([1.0, 3.0], "float64"),
    )
    np.testing.assert_allclose(product, [2.0, -12.0])


@pytest.mark.parametrize("predicate", [True, False])
def test_branches_assign_variables(predicate):
    ours, theirs = keras.Variable([1.0]), keras.Variable([1.0])
    backend.cond(
        ops.convert_to_tensor(predicate),
        lambda: ours.assign(ours + 1.0),
        lambda: theirs.assign(theirs * 5.0),
    )
    expected = ([2.0], [1.0]) if predicate else ([1.0], [5.0])
    np.testing.assert_allclose(ops.convert_to_numpy(ours), expected[0])
    np.testing.assert_allclose(ops.convert_to_numpy(theirs), expected[1])


@pytest.mark.parametrize("times", [1, 2, 4, 5, 11])
@pytest.mark.parametrize("period", [1, 2, 3, 20])
def test_repeated_functions_assign_variables(times, period):
    def step(value, index, position):
        factor = 3.0 if position == 0 else 1.0 + (position - 1) % period
        return factor * value / 10.0 + index

    variable = keras.Variable([1.0], dtype="float64")
    backend.repeat(
        lambda *args: variable.assign(step(variable, *args)),
        times,
        lambda: period,
    )
    expected = 1.0
    for index in range(times):
        expected = step(expected, index, index)
    np.testing.assert_allclose(
        ops.convert_to_numpy(variable), [expected], rtol=1e-12
    )


def test_snapshot_stays_when_the_variable_moves():
    variable = keras.Variable([1.0, 2.0])
    before = backend.snapshot(variable)
    variable.assign([5.0, 6.0])
    np.testing.assert_allclose(before, [1.0, 2.0])


def test_version_tells_what_gradients_cannot_pass_any_more():
    variable = keras.Variable([1.0, 2.0])
    before = backend.version(variable)
    assert backend.version(variable) == before
    variable.assign([1.0, 2.0])
    is_pytorch = keras.backend.backend() == "torch"
    assert (backend.version(variable) != before) == is_pytorch


def test_cholesky_of_what_has_none_is_not_finite():
    good, bad = np.diag([4.0, 9.0]), np.diag([4.0, -9.0])
    np.testing.assert_allclose(
        backend.cholesky(ops.convert_to_tensor(good)), np.diag([2.0, 3.0])
    )
    for matrix in (bad, good * np.nan):
        factor = backend.cholesky(ops.convert_to_tensor(matrix))
        assert not np.all(np.isfinite(ops.convert_to_numpy(factor)))


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.RMSprop(momentum=0.9),
        keras.optimizers.Adam(),
        keras.optimizers.SGD(momentum=0.9, nesterov=True),
    ],
    ids=["rmsprop", "adam", "sgd"],
)
def test_the_update_class_updates_one_by_one_as_the_optimizer(optimizer):
    base, _ = backend.update_class(optimizer)
    updated = []

    class Counting(base):
        def update_step(self, gradient, variable, learning_rate):
            updated.append(variable)
            super().update_step(gradient, variable, learning_rate)

    one_by_one = Counting.from_config(optimizer.get_config())
    plain = type(optimizer).from_config(optimizer.get_config())
    gradients = [[0.5, -1.0], [2.0, 0.0]]
    results = []
    for each in (one_by_one, plain):
        weights = make_weights()
        for _ in range(3):
            each.apply([ops.convert_to_tensor(g) for g in gradients], weights)
        results.append([ops.convert_to_numpy(w) for w in weights])
    assert len(updated) == 6
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
