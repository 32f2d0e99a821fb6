"""What is run with the tuned optimizers: the tables' configurations."""

import statistics

from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.tasks import TASKS
from benchmarks.comparison.tuning import NotTuned
from benchmarks.comparison.tuning import best_settings
from keras_locoprop.configuration import WEIGHT_AVERAGING

SEEDS = 3
# Trials have seed 0: those of the final runs took no part in the choice.
FIRST_FINAL_SEED = 1
FINAL = "final"
SECONDS = "final_seconds"
HEADLINE = "headline"
ABLATIONS = "ablations"
# Whose seconds at equal epochs are the budget of all at equal seconds.
PACEMAKER = 'LocoProp("auto")'
HEADLINE_EPOCHS = 100
# What differs from the tuned settings, in each run of an optimizer. The paper's
# form runs with the paper's (none are published for squared losses). The
# automatic step and K-FAC have no rate that would fall: their weights are
# averaged over about a hundred steps instead. K-FAC runs with its library's
# average of the curvature as well: the tuned one, for three epochs, is shorter.
_AVERAGED = {"use_ema": True, "ema_momentum": 0.99}
_KFAC = "K-FAC (kfac-jax)"
_KFAC_CURVATURE_EMA = PEERS[_KFAC].start["curvature_ema"]
HEADLINE_CHANGES = {
    'LocoProp("auto")': [_AVERAGED],
    "LocoProp()": [{}],
    "LocoProp.paper()": [PEERS["LocoProp.paper()"].start],
    'LocoProp.paper(variant="squared")': [{}],
    "Adam": [{}],
    "Muon": [{}],
    _KFAC: [_AVERAGED, _AVERAGED | {"curvature_ema": _KFAC_CURVATURE_EMA}],
}
ABLATION_EPOCHS = 5


def _inner(name, rate, **config):
    return {
        "learning_rate": rate,
        # Which comes with the default inner optimizer alone.
        "weight_averaging": WEIGHT_AVERAGING,
        "inner_optimizer": {
            "class_name": name,
            "config": {"learning_rate": rate, **config},
        },
    }


# Table: list of the optimizer and what differs from its start. Everything else
# is as `LocoProp()` comes.
_OURS = "LocoProp()"
ABLATED = {
    "inner steps T": [
        (_OURS, {"inner_steps": steps}) for steps in (1, 2, 3, 5, 10, 20)
    ],
    "γ": [
        (_OURS, {"activation_learning_rate": gamma})
        for gamma in (0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04)
    ],
    "inner optimizer": [
        (_OURS, {}),
        *(
            (_OURS, _inner(name, rate, **config))
            for name, rates, config in (
                ("SGD", (0.01, 0.1, 1.0, 10.0), {"momentum": 0.9}),
                ("RMSprop", (3e-3, 1e-2, 3e-2, 0.1, 0.3), {}),
                ("Adam", (3e-3, 1e-2, 3e-2, 0.1), {}),
            )
            for rate in rates
        ),
    ],
    "variant": [
        (_OURS, {"variant": variant}) for variant in ("matching", "squared")
    ],
    "slice size": [
        (_OURS, {"inner_batch_size": size}) for size in (128, 250, 500, "all")
    ],
    "batch size": [
        (name, {"batch_factor": factor})
        for name in ("LocoProp()", 'LocoProp("auto")', "Adam")
        for factor in (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
    ],
}


def final(rows, problem, optimizer, epochs=None, seeds=None):
    """The best setting on fresh seeds, for as many epochs as the others."""
    return _configurations(
        FINAL,
        problem,
        optimizer,
        best_settings(rows, problem, optimizer),
        epochs or TASKS[problem].epochs,
        _final_seeds(seeds),
    )


def final_at_equal_seconds(rows, problem, optimizer, seeds=None):
    """The same, for as many epochs as take about the seconds of `PACEMAKER`.

    Raises:
        NotTuned: If the runs at equal epochs are not there.
    """
    budget, epochs = (
        _seconds_and_epochs(rows, problem, name)
        for name in (PACEMAKER, optimizer)
    )
    affordable = budget[0] / epochs[0] * epochs[1]
    return _configurations(
        SECONDS,
        problem,
        optimizer,
        best_settings(rows, problem, optimizer),
        max(1, round(affordable)),
        _final_seeds(seeds),
    )


def headline(rows, optimizer, epochs=None, seeds=1):
    """The long runs on the autoencoder of the paper."""
    return [
        configuration
        for changes in HEADLINE_CHANGES.get(optimizer, [{}])
        for configuration in _configurations(
            HEADLINE,
            "mnist",
            optimizer,
            _headline_settings(rows, optimizer, changes),
            epochs or HEADLINE_EPOCHS,
            range(seeds),
        )
    ]


def _headline_settings(rows, optimizer, changes):
    if PEERS[optimizer].space.keys() <= changes.keys():
        return changes
    return best_settings(rows, "mnist", optimizer) | changes


def ablations(optimizer, epochs=None):
    """One thing at a time, from the defaults."""
    return [
        configuration | {"table": table}
        for table, lines in ABLATED.items()
        for name, changes in lines
        if name == optimizer
        for configuration in _configurations(
            ABLATIONS,
            "mnist",
            optimizer,
            _without_momentum(PEERS[optimizer].start, changes) | changes,
            epochs or ABLATION_EPOCHS,
            [0],
        )
    ]


def _without_momentum(start, changes):
    # The momentum is that of the default inner optimizer.
    if "inner_optimizer" in changes:
        return {k: v for k, v in start.items() if k != "momentum"}
    return start


def _final_seeds(seeds):
    return range(FIRST_FINAL_SEED, FIRST_FINAL_SEED + (seeds or SEEDS))


def _configurations(purpose, problem, optimizer, settings, epochs, seeds):
    return [
        {
            "purpose": purpose,
            "problem": problem,
            "optimizer": optimizer,
            "settings": settings,
            "epochs": epochs,
            "seed": seed,
        }
        for seed in seeds
    ]


def _seconds_and_epochs(rows, problem, optimizer):
    wanted = {
        "purpose": FINAL,
        "problem": problem,
        "optimizer": optimizer,
        "settings": best_settings(rows, problem, optimizer),
    }
    runs = [
        row
        for row in rows
        if wanted.items() <= row["configuration"].items() and not row["failure"]
    ]
    if not runs:
        raise NotTuned(
            f"{optimizer} has no runs at equal epochs on {problem}: run "
            "`final` first."
        )
    return tuple(
        statistics.median(row["points"][-1][name] for row in runs)
        for name in ("seconds", "epoch")
    )
