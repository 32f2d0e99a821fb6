"""Training loops and train steps of one's own."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_locoprop
from keras_locoprop import LocoProp
from tests.own_steps import OwnModel
from tests.own_steps import OwnStep

pytestmark = pytest.mark.backends

FEATURES, EXAMPLES = 6, 64


def make_autoencoder(base=OwnModel):
    inputs = keras.Input((FEATURES,))
    hidden = layers.Dense(5, "tanh")(inputs)
    return base(inputs, layers.Dense(FEATURES)(hidden))


@pytest.fixture
def data():
    return np.random.normal(size=(EXAMPLES, FEATURES)).astype("float32")


def compiled_by_tensorflow(step):
    import tensorflow as tf

    return tf.function(step)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda step: step, id="eager"),
        pytest.param(
            compiled_by_tensorflow,
            id="compiled",
            marks=pytest.mark.not_on(
                "jax", "torch", reason="a function of TensorFlow"
            ),
        ),
    ],
)
def test_a_loop_of_ones_own_is_fit(run, data):
    keras.utils.set_random_seed(0)
    by_fit = make_autoencoder(keras_locoprop.Model)
    by_loop = make_autoencoder()
    by_loop.set_weights(by_fit.get_weights())
    for model in (by_fit, by_loop):
        model.compile(optimizer=LocoProp(weight_averaging=0.0), loss="mse")
    by_fit.fit(data, data, batch_size=16, shuffle=False, verbose=0)

    @run
    def step(batch):
        batch = keras.ops.convert_to_tensor(batch)

        def compute_loss():
            error = by_loop(batch, training=True) - batch
            return keras.ops.mean(keras.ops.square(error))

        return keras_locoprop.minimize(by_loop, compute_loss, len(batch))

    losses = [
        float(step(data[start : start + 16]))
        for start in range(0, EXAMPLES, 16)
    ]
    assert len(set(losses)) == EXAMPLES // 16
    for one, other in zip(
        by_fit.get_weights(), by_loop.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


class VariationalAutoencoder(OwnStep, OwnModel):
    """After keras.io: no `call`, a sampling layer, a loss in two parts."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [
                keras.Input((FEATURES,)),
                layers.Dense(8, activation="relu"),
                layers.Dense(4),
            ]
        )
        self.decoder = keras.Sequential(
            [
                keras.Input((2,)),
                layers.Dense(8, activation="relu"),
                layers.Dense(FEATURES),
            ]
        )
        self.seed_generator = keras.random.SeedGenerator(0)
        # Elsewhere than on TensorFlow `fit` calls a model that is not built.
        self.built = keras.backend.backend() != "tensorflow"

    def take_own_step(self, data):
        def compute_loss():
            mean, log_variance = keras.ops.split(self.encoder(data), 2, axis=-1)
            noise = keras.random.normal(
                keras.ops.shape(mean), seed=self.seed_generator
            )
            code = mean + keras.ops.exp(0.5 * log_variance) * noise
            error = keras.ops.square(self.decoder(code) - data)
            divergence = -0.5 * (
                1
                + log_variance
                - keras.ops.square(mean)
                - keras.ops.exp(log_variance)
            )
            return keras.ops.mean(
                keras.ops.sum(error, -1) + keras.ops.sum(divergence, -1)
            )

        examples = keras.ops.shape(data)[0]
        return {"bound": keras_locoprop.minimize(self, compute_loss, examples)}


def test_a_variational_autoencoder_trains(data):
    keras.utils.set_random_seed(0)
    model = VariationalAutoencoder()
    model.compile(optimizer=LocoProp())
    history = model.fit(data, epochs=20, batch_size=16, verbose=0).history
    assert history["bound"][-1] < 0.9 * history["bound"][0]
    trained = {row.trained_by for row in keras_locoprop.coverage(model)}
    assert trained == {"matching loss"}


class Sampling(layers.Layer):
    """After keras.io: draws a code, and adds its divergence to the losses."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        mean, log_variance = keras.ops.split(inputs, 2, axis=-1)
        divergence = -0.5 * (
            1
            + log_variance
            - keras.ops.square(mean)
            - keras.ops.exp(log_variance)
        )
        self.add_loss(keras.ops.mean(keras.ops.sum(divergence, -1)))
        noise = keras.random.normal(
            keras.ops.shape(mean), seed=self.seed_generator
        )
        return mean + keras.ops.exp(0.5 * log_variance) * noise


def with_added_loss(model_class):
    inputs = keras.Input((FEATURES,))
    encoded = layers.Dense(4)(layers.Dense(8, "relu")(inputs))
    decoded = layers.Dense(8, "relu")(Sampling()(encoded))
    return model_class(inputs, layers.Dense(FEATURES)(decoded))


class Penalized(OwnStep, OwnModel):
    def take_own_step(self, data):
        def compute_loss():
            error = keras.ops.square(self(data, training=True) - data)
            return keras.ops.mean(keras.ops.sum(error, -1)) + sum(self.losses)

        examples = keras.ops.shape(data)[0]
        return {"bound": keras_locoprop.minimize(self, compute_loss, examples)}


def summed_square(y, outputs):
    return keras.ops.sum(keras.ops.square(y - outputs), -1)


def test_an_added_loss_counts_in_a_train_step_of_ones_own(data):
    """As it does in `fit`, which differentiates it by itself."""
    weights = []
    for model_class in (Penalized, keras_locoprop.Model):
        keras.utils.set_random_seed(0)
        model = with_added_loss(model_class)
        model.compile(
            optimizer=LocoProp(weight_averaging=0.0),
            loss=None if model_class is Penalized else summed_square,
        )
        targets = () if model_class is Penalized else (data,)
        model.fit(data, *targets, epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make", [VariationalAutoencoder, lambda: with_added_loss(Penalized)]
)
@pytest.mark.not_on("jax", reason="models of the package take no `prepare`")
def test_prepare_points_to_minimize(make):
    with pytest.raises(ValueError, match="keras_locoprop.minimize"):
        keras_locoprop.prepare(make())


class OwnGradients(OwnStep, keras_locoprop.Sequential):
    def take_own_step(self, data):
        gradients = [keras.ops.zeros(w.shape) for w in self.trainable_variables]
        self.optimizer.apply(gradients, self.trainable_variables)
        return {}


def test_a_train_step_that_applies_gradients_gets_an_error(data):
    model = OwnGradients([keras.Input((FEATURES,)), layers.Dense(2)])
    model.compile(optimizer=LocoProp(), loss="mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="keras_locoprop.minimize"):
        model.fit(data, data[:, :2], verbose=0)
    np.testing.assert_equal(model.get_weights(), before)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "must be a `keras.Model`"),
        (make_autoencoder(), "must be compiled with `LocoProp`"),
        (keras.Sequential([layers.Dense(2)]), "must be built"),
    ],
)
def test_what_it_cannot_train(model, message):
    if "built" in message:
        model.compile(optimizer=LocoProp())
    with pytest.raises(ValueError, match=message):
        keras_locoprop.minimize(model, lambda: 0.0, 1)


@pytest.mark.parametrize(
    "arguments", [{"solver": "exact"}, {"learning_rate": "auto"}]
)
def test_solvers_that_need_to_know_the_network(arguments, data):
    model = VariationalAutoencoder()
    model.compile(optimizer=LocoProp(**arguments))
    [name] = arguments
    with pytest.raises(ValueError, match=f"work in `fit`.*Received: {name}="):
        model.fit(data, verbose=0)


def test_a_layer_that_was_not_built_is_named(data):
    class Unfinished(OwnModel):
        def __init__(self):
            super().__init__()
            self.used = layers.Dense(FEATURES)
            self.unused = layers.Dense(3, name="later")

        def call(self, inputs):
            return self.used(inputs)

    model = Unfinished()
    model(data)
    model.compile(LocoProp())
    with pytest.raises(ValueError, match=r"`model` must be .*\['later'\]"):
        keras_locoprop.minimize(
            model, lambda: keras.ops.mean(model(data) ** 2), EXAMPLES
        )
