"""Each solver against another, or against dense linear algebra."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import keras_locoprop
from keras_locoprop import LocoProp
from keras_locoprop import backend
from keras_locoprop.solvers import choice
from keras_locoprop.solvers.iterative import IterativeSolver

pytestmark = [pytest.mark.backends, pytest.mark.usefixtures("float64")]

FEATURES, HIDDEN, OUTPUTS, EXAMPLES = 5, 4, 3, 12


def data(times=()):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, *times, FEATURES))
    return x, generator.uniform(size=(EXAMPLES, *times, OUTPUTS))


def make(activation="tanh", use_bias=True, times=()):
    keras.utils.set_random_seed(5)
    return keras_locoprop.Sequential(
        [
            keras.Input((*times, FEATURES)),
            layers.Dense(HIDDEN, activation, use_bias=use_bias),
            layers.Dense(OUTPUTS, "sigmoid"),
        ]
    )


def displacements(model, steps=1, run_eagerly=False, **arguments):
    """How far each weight goes, in `steps` batches."""
    x, y = data(model.input_shape[1:-1])
    before = model.get_weights()
    model.compile(LocoProp(**arguments), "mse", run_eagerly=run_eagerly)
    model.fit(x, y, batch_size=EXAMPLES, epochs=steps, verbose=0)
    return [old - new for old, new in zip(before, model.get_weights())]


def only_rows(only_if_cheaper, **arguments):
    del only_if_cheaper
    return IterativeSolver(inner_batch_size="all", **arguments)


@pytest.mark.parametrize(
    ("inner_optimizer", "use_bias"),
    [("sgd", True), ("sgd", False), ("adam", True), (None, True)],
)
@pytest.mark.parametrize("inner_steps", [1, 2, 20])
def test_gram_steps_are_those_on_all_rows(
    inner_steps, inner_optimizer, use_bias, monkeypatch
):
    arguments = {
        "variant": "squared",
        "inner_steps": inner_steps,
        "inner_optimizer": inner_optimizer,
        "proximal": 0.3,
    }
    by_gram = displacements(
        make(use_bias=use_bias), steps=3, solver="gram", **arguments
    )
    monkeypatch.setattr(choice, "GramSolver", only_rows)
    by_rows = displacements(
        make(use_bias=use_bias), steps=3, inner_batch_size="all", **arguments
    )
    for one, other in zip(by_gram, by_rows, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("examples", "is_cheaper"), [(1, False), (2, False), (8, True), (64, True)]
)
def test_gram_is_taken_where_it_is_cheaper(examples, is_cheaper):
    """`B i² + T i² u < 2 T B i u`, at i = 6, u = 4, T = 2."""
    solver = choice.make_solver(
        "iterative",
        {
            "inner_optimizer": keras.optimizers.SGD(),
            "inner_steps": 2,
            "inner_batch_size": "all",
            "inner_decay": 0.25,
            "proximal": 0.0,
            "learning_rate_scaling": "absolute",
        },
        {},
    )
    inputs = ops.zeros((examples, 6))
    assert bool(solver._is_cheaper(inputs, (6, 4))) == is_cheaper


def mean_diagonal(inputs):
    """Of the Gram matrix of rows, with a one for the bias, by examples."""
    rows = inputs.reshape(-1, FEATURES)
    return (np.sum(rows**2) + len(rows)) / len(inputs) / (FEATURES + 1)


@pytest.mark.parametrize("times", [(), (3,)], ids=["rows", "sequences"])
def test_exact_is_where_the_iterative_solver_converges_to(times):
    """With the damping of the one as the proximal term of the other."""
    damping = 0.3
    x, _ = data(times)
    model = make(times=times)
    exact = displacements(
        model,
        solver="exact",
        damping=damping,
        gradient_scaling="absolute",
        exclude=[model.layers[1].name],
    )
    model = make(times=times)
    converged = displacements(
        model,
        variant="squared",
        gradient_scaling="absolute",
        learning_rate_scaling="absolute",
        inner_optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        inner_batch_size="all",
        inner_steps=300,
        run_eagerly=True,
        proximal=np.sqrt(damping) * mean_diagonal(x),
        exclude=[model.layers[1].name],
    )
    for one, other in zip(exact[:2], converged[:2], strict=True):
        assert np.abs(one).max() > 1e-6
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-10)


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z))


# The Jacobian of the activation at a row of pre-activations.
SLOPES = {
    "tanh": lambda z: np.diag(1 - np.tanh(z) ** 2),
    "relu": lambda z: np.diag(1.0 * (z > 0)),
    "softmax": lambda z: np.diag(softmax(z)) - np.outer(softmax(z), softmax(z)),
}


def dense_hessian(layer, inputs):
    """Of the local matching loss, as one matrix."""
    kernel, bias = layer.get_weights()
    slopes = np.stack(
        [SLOPES[layer.activation.__name__](z) for z in inputs @ kernel + bias]
    )
    inputs = np.concatenate([inputs, np.ones((EXAMPLES, 1))], axis=1)
    hessian = np.einsum("ni,nj,nuv->iujv", inputs, inputs, slopes) / EXAMPLES
    size = inputs.shape[1] * HIDDEN
    return hessian.reshape(size, size)


@pytest.mark.parametrize("activation", ["tanh", "relu", "softmax"])
def test_conjugate_gradients_solve_the_newton_system(activation):
    x, y = data()
    model = make(activation)
    layer = model.layers[0]
    hessian = dense_hessian(layer, x)

    def forward():
        error = keras.losses.mean_squared_error(y, model(x))
        return ops.mean(error), [], None

    _, _, gradients = backend.differentiate(forward, layer.weights)
    gradient = 0.005 * np.concatenate([np.ravel(g) for g in gradients])
    damping = 0.2 * (gradient @ hessian @ gradient) / (gradient @ gradient)
    damped = hessian + damping * np.eye(len(hessian))
    expected = np.linalg.solve(damped, gradient)
    moved = displacements(
        model,
        solver="conjugate_gradient",
        damping=0.2,
        inner_steps=60,
        # Faster than the compilation of as many steps.
        run_eagerly=True,
        gradient_scaling="absolute",
    )
    moved = np.concatenate([np.ravel(part) for part in moved[:2]])
    np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-12)


def test_conjugate_gradients_know_regularizers():
    """A strong one holds the weights where they are."""
    moved = {}
    for strength in (0.0, 1e4):
        keras.utils.set_random_seed(5)
        regularizer = keras.regularizers.L2(strength)
        layer = layers.Dense(OUTPUTS, kernel_regularizer=regularizer)
        model = keras_locoprop.Sequential([keras.Input((FEATURES,)), layer])
        layer.kernel.assign(0 * layer.kernel)
        moved[strength] = displacements(
            model,
            solver="conjugate_gradient",
            damping=1e-6,
            inner_steps=30,
            gradient_scaling="absolute",
        )
    assert np.abs(moved[1e4][0]).max() < 0.01 * np.abs(moved[0.0][0]).max()


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": "auto"},
        *(
            {"solver": "exact", "output_scaling": scaling}
            for scaling in (None, "unit", "full")
        ),
    ],
    ids=str,
)
def test_an_output_that_counts_only_later(arguments):
    """Then there are no moments yet for its layer, and no step."""
    inputs = keras.Input((FEATURES,))
    heads = [layers.Dense(1, name=name) for name in ("first", "second")]
    model = keras_locoprop.Model(inputs, [head(inputs) for head in heads])
    model.compile(LocoProp(**arguments), ["mse", "mse"])
    x, y = data()
    y, ones = [y[:, :1], y[:, 1:2]], np.ones(EXAMPLES)

    def train(steps, of_second):
        for _ in range(steps):
            model.train_on_batch(x, y, [ones, of_second * ones])

    before = np.array(heads[1].kernel)
    train(5, 0.0)
    np.testing.assert_array_equal(heads[1].kernel, before)
    train(1, 1.0)
    np.testing.assert_array_equal(heads[1].kernel, before)
    losses = [model.evaluate(x, y, verbose=0)[0]]
    train(20, 1.0)
    losses.append(model.evaluate(x, y, verbose=0)[0])
    assert losses[1] < losses[0]
    assert np.max(np.abs(np.array(heads[1].kernel) - before)) < 10.0


@pytest.mark.parametrize("arguments", [{"solver": "exact"}, {}], ids=str)
def test_a_bias_whose_kernel_is_frozen(arguments):
    """On one feature the bias has as many numbers as the kernel."""
    model = keras_locoprop.Sequential(
        [keras.Input((1,)), layers.Dense(OUTPUTS)]
    )
    model.layers[0].kernel.trainable = False
    model.compile(
        LocoProp(learning_rate_scaling="absolute", **arguments), "mse"
    )
    x, y = data()
    model.fit(100.0 * x[:, :1], y, batch_size=EXAMPLES, epochs=1, verbose=0)
    # An inner step of the first-order solver, which both take.
    assert np.min(np.abs(np.array(model.layers[0].bias))) > 1e-4
