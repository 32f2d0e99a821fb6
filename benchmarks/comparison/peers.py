"""The table of optimizers: where they come from, and what is searched.

To add an optimizer is to add a line to `PEERS`. The first trial of every search
is `start`, the library's own defaults where it has some; settings in `fixed`
are never searched. All rates follow `training_loop.rate_factor`.
"""

from typing import Any
from typing import NamedTuple

import keras
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution

from benchmarks import training_run
from benchmarks.comparison.networks import OUTPUT
from keras_locoprop import LocoProp

# Multiplies the batch size of the problem; not searched, but in an ablation.
BATCH_FACTOR = "batch_factor"

NOTHING = "nothing"


def span(low, high):
    """Numbers between two, of which each magnitude is as likely."""
    return FloatDistribution(low, high, log=True)


class Peer(NamedTuple):
    """An optimizer and what is searched for it.

    Attributes:
        space: Dict of the settings that are searched: their distributions.
        start: Dict, the settings of the first trial.
        retuned: Tuple of strings, the settings that are searched again, all
            multiplied alike, on the problems without a search of their own.
        make: Function of settings that makes a Keras optimizer; `None` for
            optimizers of another framework.
        module: String, what runs those.
        fixed: Dict of further settings.
        scheduled: Boolean: whether `retuned` are rates, with a schedule.
        unsupported: Dict of names of problems: the reason.
        joined: Dict of the settings that trials recorded before they were
            searched do not name: what they had, the library's defaults.
        not_carried: Dict of the settings that do not have their best value on
            the problems without a search of their own, but this one.
        is_ours: Boolean.
    """

    space: dict
    start: dict
    retuned: tuple = ("learning_rate",)
    make: Any = None
    module: str = ""
    fixed: Any = {}
    scheduled: bool = True
    unsupported: Any = {}
    joined: Any = {}
    not_carried: Any = {}
    is_ours: bool = False


def _keras(make, rates, rate, start=None, fields=None, **space):
    return Peer(
        {"learning_rate": span(*rates), **space},
        {"learning_rate": rate, **(start or {})},
        make=make,
        **(fields or {}),
    )


def _locoprop(**settings):
    return training_run.make_optimizer(training_run.LOCOPROP, settings)


def _muon(excluded=NOTHING, **settings):
    layers = [] if excluded == NOTHING else [excluded]
    return keras.optimizers.Muon(exclude_layers=layers, **settings)


_BETA_1 = Choice([0.0, 0.5, 0.7, 0.8, 0.9, 0.95])
_BETA_2 = Choice([0.8, 0.9, 0.95, 0.99, 0.999])
_DECAY = Choice([0.0, 0.001, 0.004, 0.01])
_PAPER_SPACE = {
    "learning_rate": span(1e-6, 1e-3),
    # Large for losses that are not summed over an image.
    "activation_learning_rate": span(1e-3, 1.0),
}
_PAPER_START = {"learning_rate": 1e-5, "activation_learning_rate": 0.01}

PEERS = {
    "LocoProp()": Peer(
        {
            "learning_rate": span(2e-4, 0.03),
            "activation_learning_rate": span(1e-3, 0.05),
            "momentum": Choice([0.9, 0.97, 0.99, 0.997]),
        },
        {
            "learning_rate": 1e-3,
            "activation_learning_rate": 0.005,
            "momentum": 0.99,
        },
        make=_locoprop,
        is_ours=True,
    ),
    'LocoProp("auto")': Peer(
        {"damping": span(3e-3, 0.5)},
        {"damping": 0.05},
        ("damping",),
        make=lambda **settings: LocoProp("auto", **settings),
        scheduled=False,
        is_ours=True,
    ),
    "LocoProp.paper()": Peer(
        _PAPER_SPACE, _PAPER_START, make=LocoProp.paper, is_ours=True
    ),
    'LocoProp.paper(variant="squared")': Peer(
        _PAPER_SPACE,
        _PAPER_START,
        make=LocoProp.paper,
        fixed={"variant": "squared"},
        is_ours=True,
    ),
    "SGD, momentum": _keras(
        keras.optimizers.SGD,
        (1e-4, 1.0),
        0.01,
        start={"momentum": 0.9},
        momentum=Choice([0.0, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99]),
    ),
    "RMSprop": _keras(
        keras.optimizers.RMSprop,
        (1e-5, 1e-2),
        1e-3,
        start={"rho": 0.9, "momentum": 0.0},
        rho=Choice([0.8, 0.9, 0.99, 0.999]),
        momentum=Choice([0.0, 0.9]),
    ),
    "Adam": _keras(
        keras.optimizers.Adam,
        (1e-4, 3e-2),
        1e-3,
        start={"beta_1": 0.9, "beta_2": 0.999},
        beta_1=_BETA_1,
        beta_2=_BETA_2,
    ),
    "AdamW": _keras(
        keras.optimizers.AdamW,
        (1e-4, 3e-2),
        1e-3,
        start={"weight_decay": 0.004, "beta_1": 0.9, "beta_2": 0.999},
        weight_decay=_DECAY,
        beta_1=_BETA_1,
        beta_2=_BETA_2,
    ),
    "Lion": _keras(
        keras.optimizers.Lion,
        (1e-5, 1e-2),
        1e-3,
        start={"beta_1": 0.9, "beta_2": 0.99},
        beta_1=Choice([0.7, 0.8, 0.9, 0.95, 0.98]),
        beta_2=Choice([0.95, 0.98, 0.99, 0.999, 0.9999]),
    ),
    "Muon": _keras(
        _muon,
        (3e-4, 0.3),
        1e-3,
        start={
            "momentum": 0.95,
            "weight_decay": 0.004,
            "adam_lr_ratio": 1.0,
            "excluded": OUTPUT,
        },
        # The best one of a network of dense layers, where Adam has biases only,
        # says nothing about other weights that are no matrices, which it has,
        # too.
        fields={"not_carried": {"adam_lr_ratio": 1.0}},
        momentum=Choice([0.8, 0.9, 0.95, 0.98]),
        weight_decay=_DECAY,
        adam_lr_ratio=span(0.01, 1.0),
        # Keras's documentation asks to leave the last layer to Adam.
        excluded=Choice([OUTPUT, NOTHING]),
    ),
    "Adafactor": _keras(
        keras.optimizers.Adafactor,
        # Keras's takes at most one over the root of the number of steps.
        (1e-4, 0.3),
        1e-3,
        start={
            "beta_2_decay": -0.8,
            "clip_threshold": 1.0,
            "epsilon_1": 1e-30,
        },
        fields={
            "joined": {"epsilon_1": 1e-30},
            # With the default, weights become NaN where both an input and a
            # unit are off for a whole batch: tanh units never are, others are.
            "not_carried": {"epsilon_1": 1e-16},
        },
        beta_2_decay=Choice([-0.3, -0.5, -0.8, -1.0]),
        clip_threshold=Choice([1.0, 10.0]),
        epsilon_1=Choice([1e-30, 1e-16]),
    ),
    "K-FAC (kfac-jax)": Peer(
        {
            "initial_damping": span(0.1, 100.0),
            "curvature_ema": Choice([0.8, 0.9, 0.95, 0.99]),
            # With the default, the trials on batches of 128 diverged.
            "min_damping": span(1e-8, 1.0),
        },
        {
            "initial_damping": 1.0,
            "curvature_ema": 0.95,
            "min_damping": 1e-8,
        },
        ("initial_damping", "min_damping"),
        module="jax_peer",
        scheduled=False,
        joined={"min_damping": 1e-8},
    ),
    "Shampoo (pytorch_optimizer)": Peer(
        {
            "lr": span(1e-5, 1.0),
            "graft_type": Choice([1, 2, 3]),
            "beta_1": Choice([0.9, 0.95]),
            "beta_2": Choice([0.95, 0.99, 0.999]),
        },
        {"lr": 1e-3, "graft_type": 1, "beta_1": 0.9, "beta_2": 0.999},
        ("lr",),
        module="torch_peer",
        # Its roots cost as much as some dozen steps: the library's default is
        # to compute them every thousand steps, more than most runs here have.
        # A momentum that is a sum would make the rate depend on it tenfold.
        fixed={
            "moving_average_for_momentum": True,
            "start_preconditioning_step": 50,
            "preconditioning_compute_steps": 50,
        },
    ),
    "SOAP (pytorch_optimizer)": Peer(
        {
            "lr": span(1e-4, 3e-2),
            "beta_1": Choice([0.9, 0.95]),
            "beta_2": Choice([0.95, 0.99, 0.999]),
            "weight_decay": Choice([0.0, 0.01]),
        },
        {"lr": 3e-3, "beta_1": 0.95, "beta_2": 0.95, "weight_decay": 0.01},
        ("lr",),
        module="torch_peer",
    ),
    "locoprop (PyTorch port)": Peer(
        {
            "lr": span(1e-6, 1e-3),
            # γ times the batch size.
            "learning_rate": span(0.1, 100.0),
            "momentum": Choice([0.9, 0.99, 0.999]),
        },
        {"lr": 2e-5, "learning_rate": 10.0, "momentum": 0.999},
        ("lr",),
        module="torch_peer",
        fixed={"eps": 1e-6, "alpha": 0.9},
        unsupported={
            "transformer": "its trainer takes an `nn.Sequential` of layers "
            "with one module and one activation each, and has no residual "
            "connections, embeddings and normalizations"
        },
    ),
}
