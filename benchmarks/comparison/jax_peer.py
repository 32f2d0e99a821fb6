"""K-FAC from kfac-jax, run by an interpreter that has it.

python -m benchmarks.comparison.jax_peer FOLDER (see `training_loop.serve`)

It needs `jax==0.6.2` and `kfac-jax==0.0.8`. Rate, momentum and damping are
adaptive, its strong setting on large batches, so that no schedule applies. (Of
small ones its documentation warns.) There is no burn-in, as the library allows
none where it is given batches.
"""

import importlib.metadata

import jax
import jax.numpy as jnp
import kfac_jax
from jax import lax

from benchmarks.comparison import training_loop

WARM_UP_STEPS = 12
ACTIVATIONS = {"linear": lambda x: x, "relu": jax.nn.relu, "tanh": jnp.tanh}


def convolve(x, kernel, bias):
    return (
        lax.conv_general_dilated(
            x,
            kernel,
            window_strides=(1, 1),
            padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        + bias
    )


def pool(x, size):
    window = (1, size, size, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def normalize(x, gamma, beta):
    mean = jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.var(x, axis=-1, keepdims=True)
    normal = (x - mean) * lax.rsqrt(
        variance + training_loop.NORMALIZATION_EPSILON
    )
    return normal * gamma + beta


def attend(x, weights, heads, size):
    """Self-attention with its residual connection and normalization."""
    query, key, value = (
        (x @ kernel + bias).reshape(*x.shape[:-1], heads, size)
        for kernel, bias in zip(weights[:6:2], weights[1:6:2])
    )
    scores = jnp.einsum("bqhs,bkhs->bhqk", query, key) / jnp.sqrt(size)
    attended = jnp.einsum("bhqk,bkhs->bqhs", jax.nn.softmax(scores), value)
    flat = attended.reshape(*x.shape[:-1], heads * size)
    return normalize(flat @ weights[6] + weights[7] + x, *weights[8:])


def feed_forward(x, weights, activation):
    inner = ACTIVATIONS[activation](x @ weights[0] + weights[1])
    return normalize(inner @ weights[2] + weights[3] + x, *weights[4:])


def prepared(layers, weights):
    """The weights by layer, projections of attention as matrices."""
    counts = {
        "dense": 2,
        "convolution": 2,
        "embedding": 1,
        "positions": 1,
        "attention": 10,
        "feed_forward": 6,
    }
    weights, parameters = list(weights), []
    for kind, *_ in layers:
        count = counts.get(kind, 0)
        own, weights = weights[:count], weights[count:]
        if kind == "attention":
            width = own[0].shape[0]
            own[:6] = [
                w.reshape(width, -1) if w.ndim == 3 else w.ravel()
                for w in own[:6]
            ]
            own[6] = own[6].reshape(-1, width)
        parameters.append(tuple(jnp.asarray(weight) for weight in own))
    return parameters


def network(layers, parameters, x):
    """The logits."""
    last = len(layers) - 1
    for index, ((kind, *arguments), own) in enumerate(zip(layers, parameters)):
        if kind == "dense":
            x = x @ own[0] + own[1]
            if index < last:
                x = ACTIVATIONS[arguments[1]](x)
        elif kind == "convolution":
            x = ACTIVATIONS[arguments[2]](convolve(x, *own))
        elif kind == "pooling":
            x = pool(x, arguments[0])
        elif kind == "flatten":
            x = x.reshape(len(x), -1)
        elif kind == "embedding":
            x = own[0][x]
        elif kind == "positions":
            x = x + own[0]
        elif kind == "attention":
            x = attend(x, own, *arguments)
        elif kind == "feed_forward":
            x = feed_forward(x, own, arguments[1])
        elif kind == "mean":
            x = jnp.mean(x, axis=1)
        else:
            raise ValueError(f"`kind` must be known. Received: kind={kind!r}")
    return x


def pixel_cross_entropy(logits, images):
    """Summed over pixels, a mean over images."""
    return jnp.mean(
        jnp.sum(jnp.logaddexp(0.0, logits) - images * logits, axis=-1)
    )


def label_cross_entropy(logits, labels):
    chosen = jnp.take_along_axis(
        jax.nn.log_softmax(logits), labels[:, None], axis=-1
    )
    return -jnp.mean(chosen)


TARGETS = {
    "inputs": (
        pixel_cross_entropy,
        kfac_jax.register_multi_bernoulli_predictive_distribution,
    ),
    "labels": (
        label_cross_entropy,
        kfac_jax.register_categorical_predictive_distribution,
    ),
}


class KfacTrainer:
    """Training by K-FAC.

    Of the settings, `use_ema` and `ema_momentum` mean what they mean to a
    Keras optimizer: the running mean of the weights is evaluated.
    """

    def __init__(self, run, weights):
        self.weights, self.layers = weights, run["layers"]
        self.parameters = self.mean = prepared(self.layers, weights)
        self.seed = run["seed"]
        settings = dict(run["settings"])
        self.is_averaged = settings.pop("use_ema", False)
        self.ema_momentum = settings.pop("ema_momentum", 0.99)
        loss, register = TARGETS[run["targets"]]
        has_labels = run["targets"] == "labels"

        def training_loss(parameters, batch):
            x, y = batch
            logits = network(self.layers, parameters, x)
            register(logits, y)
            return loss(logits, y)

        @jax.jit
        def evaluated(parameters, x, y):
            logits = network(self.layers, parameters, x)
            results = {"loss": loss(logits, y)}
            if has_labels:
                hits = jnp.argmax(logits, axis=-1) == y
                results["accuracy"] = jnp.mean(hits)
            return results

        self.evaluated = evaluated
        self.optimizer = kfac_jax.Optimizer(
            value_and_grad_func=jax.value_and_grad(training_loss),
            l2_reg=0.0,
            value_func_has_aux=False,
            value_func_has_state=False,
            value_func_has_rng=False,
            use_adaptive_learning_rate=True,
            use_adaptive_momentum=True,
            use_adaptive_damping=True,
            num_burnin_steps=0,
            multi_device=False,
            **settings,
        )
        self.averaged = jax.jit(
            lambda mean, parameters, momentum: jax.tree.map(
                lambda m, p: momentum * m + (1 - momentum) * p,
                mean,
                parameters,
            )
        )

    def start(self, batch):
        self.key = jax.random.PRNGKey(self.seed)
        self.parameters = prepared(self.layers, self.weights)
        # The optimizer gives the memory of its parameters away.
        self.mean = prepared(self.layers, self.weights)
        self.state = self.optimizer.init(self.parameters, self.key, batch)
        self.steps_taken = 0

    def step(self, batch):
        self.key, of_step = jax.random.split(self.key)
        self.parameters, self.state, _ = self.optimizer.step(
            self.parameters,
            self.state,
            of_step,
            batch=batch,
            global_step_int=self.steps_taken,
        )
        if self.is_averaged:
            momentum = self.ema_momentum if self.steps_taken else 0.0
            self.mean = self.averaged(self.mean, self.parameters, momentum)
        self.steps_taken += 1

    def warm_up(self, x, y):
        # So many steps compile all that they are made of.
        self.start((x, y))
        for _ in range(WARM_UP_STEPS):
            self.step((x, y))
        self.start((x, y))

    def fit(self, x, y, batch_size):
        for batch in training_loop.in_batches(batch_size, x, y):
            self.step(batch)
        jax.block_until_ready((self.parameters, self.mean))

    def evaluate(self, x, y):
        parameters = self.mean if self.is_averaged else self.parameters
        return training_loop.mean_results(
            (len(part), self.evaluated(parameters, part, targets))
            for part, targets in training_loop.in_batches(
                training_loop.EVALUATION_BATCH_SIZE, x, y
            )
        )


def main():
    training_loop.serve(
        KfacTrainer,
        {
            name: importlib.metadata.version(name)
            for name in ("jax", "jaxlib", "kfac-jax", "numpy")
        },
    )


if __name__ == "__main__":
    main()
