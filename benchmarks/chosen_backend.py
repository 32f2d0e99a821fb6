"""The option `--backend` of benchmarks.

Keras reads once, when it is imported, which backend it runs on: a benchmark
that is asked for another one starts itself anew.
"""

import os
import subprocess
import sys

import keras

BACKENDS = ("tensorflow", "jax", "torch")


def add_option(parser):
    """Gives an `argparse.ArgumentParser` the option."""
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default=keras.backend.backend(),
        help="that of Keras; this Python must have it",
    )


def ran_elsewhere(module, options, arguments=None):
    """Runs a benchmark in a process of its own, if need be.

    Args:
        module: String, the name of the benchmark's module.
        options: What the parser made of the arguments.
        arguments: List of strings; `None`: those of this process.

    Returns:
        Boolean: whether that was done.

    Raises:
        subprocess.CalledProcessError: If it failed there.
    """
    if options.backend == keras.backend.backend():
        return False
    arguments = sys.argv[1:] if arguments is None else arguments
    subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | {"KERAS_BACKEND": options.backend},
        check=True,
    )
    return True
