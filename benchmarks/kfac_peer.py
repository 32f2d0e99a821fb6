"""K-FAC from kfac-jax on the autoencoder, in an environment of its own.

`benchmarks.time_to_loss` runs this file with another interpreter, in which
`jax==0.6.2` and `kfac-jax==0.0.8` are installed; it imports nothing else.
"""

import argparse
import json
import sys
import time

import jax
import jax.numpy as jnp
import kfac_jax
import numpy as np

WARM_UP_STEPS = 12


def network(parameters, inputs):
    """The logits of the autoencoder's pixels."""
    last, code = len(parameters) - 1, len(parameters) // 2 - 1
    for index, (kernel, bias) in enumerate(parameters):
        inputs = inputs @ kernel + bias
        if index not in (code, last):
            inputs = jnp.tanh(inputs)
    return inputs


def cross_entropy(logits, inputs):
    """Summed over pixels, a mean over images."""
    return jnp.mean(
        jnp.sum(jnp.logaddexp(0.0, logits) - inputs * logits, axis=-1)
    )


def training_loss(parameters, batch):
    logits = network(parameters, batch)
    kfac_jax.register_multi_bernoulli_predictive_distribution(logits, batch)
    return cross_entropy(logits, batch)


@jax.jit
def loss_of_images(parameters, images):
    return cross_entropy(network(parameters, images), images)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="a .npz with images and initial weights")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--initial-damping", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--parts", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    arrays = np.load(options.path)
    images, test_images = arrays["x_train"], arrays["x_test"]
    weights = [arrays[f"weight_{i}"] for i in range(len(arrays.files) - 2)]
    optimizer = kfac_jax.Optimizer(
        value_and_grad_func=jax.value_and_grad(training_loss),
        l2_reg=0.0,
        value_func_has_aux=False,
        value_func_has_state=False,
        value_func_has_rng=False,
        use_adaptive_learning_rate=True,
        use_adaptive_momentum=True,
        use_adaptive_damping=True,
        initial_damping=options.initial_damping,
        num_burnin_steps=0,
        multi_device=False,
    )

    def start():
        key = jax.random.PRNGKey(options.seed)
        parameters = [
            (jnp.array(kernel), jnp.array(bias))
            for kernel, bias in zip(weights[::2], weights[1::2])
        ]
        batch = images[: options.batch_size]
        return parameters, optimizer.init(parameters, key, batch), key

    # Compiles all that the steps are made of.
    parameters, state, key = start()
    for step in range(WARM_UP_STEPS):
        batch = images[: options.batch_size]
        parameters, state, _ = optimizer.step(
            parameters, state, key, batch=batch, global_step_int=step
        )
    parameters, state, key = start()
    seconds, step, size = 0.0, 0, options.batch_size
    for epoch in range(options.epochs):
        order = np.random.default_rng((options.seed, epoch)).permutation(
            len(images)
        )
        for part, indices in enumerate(np.array_split(order, options.parts)):
            begin = time.perf_counter()
            for first in range(0, len(indices) - size + 1, size):
                key, of_step = jax.random.split(key)
                batch = images[indices[first : first + size]]
                parameters, state, _ = optimizer.step(
                    parameters,
                    state,
                    of_step,
                    batch=batch,
                    global_step_int=step,
                )
                step += 1
            jax.block_until_ready(parameters)
            seconds += time.perf_counter() - begin
            losses = [
                np.mean(
                    [
                        loss_of_images(parameters, chunk)
                        for chunk in np.split(some, 10)
                    ]
                )
                for some in (images, test_images)
            ]
            record = {
                "epoch": epoch + (part + 1) / options.parts,
                "seconds": seconds,
                "train_loss": float(losses[0]),
                "test_loss": float(losses[1]),
            }
            print(json.dumps(record), flush=True)
            if not np.isfinite(losses[0]):
                sys.exit()


if __name__ == "__main__":
    main()
