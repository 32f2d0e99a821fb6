"""Tuning, by as many trials for every optimizer."""

import math

import numpy as np
import optuna

from benchmarks import records
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.tasks import TASKS

TRIALS = 12
# TPE learns from so many trials at least, the others than the first at random.
RANDOM_TRIALS = 5
# Where there is no search; then further ones, while the best is at an end.
GRID = (0.1, 0.3, 1.0, 3.0)
BELOW = (0.03, 0.01)
ABOVE = (10.0, 30.0, 100.0)
PURPOSE = "tune"

optuna.logging.set_verbosity(optuna.logging.WARNING)


class NotTuned(LookupError):
    """What a run needs to begin with is not in the results yet."""


def score(row):
    """The train loss at the end; infinity if it was not reached."""
    loss = row["points"][-1]["train_loss"] if row["points"] else None
    if row["failure"] or loss is None or not math.isfinite(loss):
        return math.inf
    return loss


def trials_of(rows, problem, optimizer):
    """The recorded trials, in order."""
    wanted = {
        "purpose": PURPOSE,
        "problem": problem,
        "optimizer": optimizer,
    }
    found = [
        row for row in rows if wanted.items() <= row["configuration"].items()
    ]
    return sorted(found, key=_number)


def best_settings(rows, problem, optimizer):
    """The settings of the best trial.

    Raises:
        NotTuned: If there is no trial that ended well.
    """
    trials = trials_of(rows, problem, optimizer)
    best = min(trials, key=score, default=None)
    if best is None or not math.isfinite(score(best)):
        raise NotTuned(
            f"{optimizer} has no successful trial on {problem}: run `tune` "
            f"with it first. Received: {len(trials)} trials"
        )
    return best["configuration"]["settings"]


def is_trial(row):
    """Whether a row is one of a search."""
    return row["configuration"]["purpose"] == PURPOSE


def _number(row):
    return row["configuration"]["trial"]


def suggest(peer, trials):
    """The settings of the next trial; the recorded ones determine them.

    Args:
        peer: `peers.Peer`.
        trials: List of rows, the trials so far.

    Returns:
        Dict.
    """
    if not trials:
        return peer.start
    # The first numbers of generators with seeds 1, 2 and 3 are much alike.
    [seed] = np.random.SeedSequence(len(trials)).generate_state(1)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(
            seed=int(seed), n_startup_trials=RANDOM_TRIALS
        )
    )
    for row in trials:
        settings = peer.joined | row["configuration"]["settings"]
        # Those of a former space count as trials, but teach nothing.
        if settings.keys() == peer.space.keys():
            study.add_trial(
                optuna.trial.create_trial(
                    params=settings,
                    distributions=peer.space,
                    value=score(row),
                )
            )
    settings = study.ask(peer.space).params
    # Choices as they are: 0.9999 to three digits would be 1.
    return {
        name: value if hasattr(peer.space[name], "choices") else _rounded(value)
        for name, value in settings.items()
    }


def next_factor(trials):
    """What the tuned rate is multiplied by in the next trial.

    Args:
        trials: List of rows, the trials so far.

    Returns:
        One of `GRID`, `BELOW` or `ABOVE`; `None` if there are no more.
    """
    if len(trials) < len(GRID):
        return GRID[len(trials)]
    scores = [score(row) for row in trials]
    grid = scores[: len(GRID)]
    best = min(grid)
    if math.isfinite(best) and grid.count(best) > 1:
        # What makes no difference there makes none beyond.
        return None
    beyond = {0: BELOW, len(GRID) - 1: ABOVE}.get(grid.index(best), ())
    further = len(trials) - len(GRID)
    if further >= len(beyond) or (further and scores[-1] > min(scores)):
        return None
    return beyond[further]


def tune(runner, problem, optimizer, epochs=None, trials=TRIALS):
    """Runs the trials of an optimizer on a problem that are missing.

    Args:
        runner: `runs.Runner`.
        problem: String, a key of `TASKS`.
        optimizer: String, a key of `PEERS`.
        epochs: Integer. Defaults to `None`: the problem's.
        trials: Integer: how many; at most so many where there is no search.

    Raises:
        ValueError: If one of the trials before the last one is not recorded.
    """
    task = TASKS[problem]

    def done():
        rows = records.read_lines(runner.results)
        found = trials_of(rows, problem, optimizer)
        numbers = list(map(_number, found))
        if numbers != list(range(len(found))):
            raise ValueError(
                "`results` must hold all trials of a search up to the last "
                "one, as each follows from those before it. Received: trials "
                f"{numbers} of {optimizer} on {problem} in {runner.results}"
            )
        return found

    while len(so_far := done()) < trials:
        if task.tuned_on:
            settings = _retuned(runner, task, optimizer, so_far)
        else:
            settings = suggest(PEERS[optimizer], so_far)
        if settings is None:
            return
        runner.obtain(
            {
                "purpose": PURPOSE,
                "problem": problem,
                "optimizer": optimizer,
                "settings": settings,
                "epochs": epochs or task.epochs,
                "seed": 0,
                "trial": len(so_far),
            }
        )


def _retuned(runner, task, optimizer, so_far):
    """The best setting of the problem that was tuned, its rate multiplied."""
    factor = next_factor(so_far)
    if factor is None:
        return None
    peer = PEERS[optimizer]
    if so_far:
        # The best setting may have become another one since.
        base = dict(so_far[0]["configuration"]["settings"])
        base |= {name: base[name] / GRID[0] for name in peer.retuned}
    else:
        base = best_settings(runner.rows(), task.tuned_on, optimizer)
        base = peer.joined | base | peer.not_carried
    return base | {name: _rounded(base[name] * factor) for name in peer.retuned}


def _rounded(value):
    return float(f"{value:.3g}") if isinstance(value, float) else value
