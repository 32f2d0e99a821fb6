"""One training run: its configuration in, its records out, kept in a file."""

import functools
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from tqdm import tqdm

from benchmarks import records
from benchmarks.comparison import networks
from benchmarks.comparison import tuning
from benchmarks.comparison.keras_trainer import KerasTrainer
from benchmarks.comparison.keras_trainer import WarmUpThenDecay
from benchmarks.comparison.peers import BATCH_FACTOR
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.tasks import TASKS
from benchmarks.comparison.tasks import load
from benchmarks.comparison.training_loop import count_steps
from benchmarks.comparison.training_loop import train

ROOT = Path(__file__).parents[2]


class RunFailed(RuntimeError):
    """An optimizer gave up in the middle of a training."""


class Checkpoint:
    """Records and state of a run, in a file until the run is over."""

    def __init__(self, path):
        self.path = path

    def load(self):
        if not self.path.exists():
            return None
        with np.load(self.path) as file:
            kept = json.loads(str(file["records"]))
            count = len(file.files) - 1
            return kept, [file[f"value_{i}"] for i in range(count)]

    def save(self, kept, state):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"value_{i}": value for i, value in enumerate(state)}
        unfinished = self.path.with_suffix(".unfinished.npz")
        np.savez(unfinished, records=json.dumps(kept), **arrays)
        unfinished.replace(self.path)

    def delete(self):
        self.path.unlink(missing_ok=True)


class Runner(NamedTuple):
    """What runs have in common.

    Attributes:
        results: Path of a file of JSON lines.
        interpreters: Dict of modules that run peers: an interpreter for each.
        data_dir: As in `tasks.load`.
        download: Likewise.
        examples: Likewise.
        tuned: Path of another file of results, whose trials count, too, when
            the best setting is looked for.
    """

    results: Path
    interpreters: dict
    data_dir: Any = None
    download: bool = False
    examples: Any = None
    tuned: Any = None

    def rows(self):
        """What is recorded so far, with the trials of `tuned`."""
        rows = records.read_lines(self.results)
        if not self.tuned:
            return rows
        others = records.read_lines(self.tuned)
        return rows + list(filter(tuning.is_trial, others))

    def obtain(self, configuration, has_checkpoint=False):
        """The row of a configuration: recorded before, or run now.

        Args:
            configuration: Dict, ready for JSON, with `purpose`, `problem`,
                `optimizer`, `settings`, `epochs` and `seed`.
            has_checkpoint: Boolean: whether a Keras optimizer that was stopped
                goes on after its last epoch.

        Returns:
            Dict: the configuration, completed, and what came out. Of few
            examples, batches are a quarter at most.

        Raises:
            ValueError: If it is not recorded, and what is there is of another
                backend of Keras.
        """
        task = TASKS[configuration["problem"]]
        fixed = PEERS[configuration["optimizer"]].fixed
        data = _load(task, self.data_dir, self.download, self.examples)
        examples = len(data["x_train"])
        factor = configuration["settings"].get(BATCH_FACTOR, 1)
        batch_size = min(round(task.batch_size * factor), max(1, examples // 4))
        configuration = configuration | {
            "batch_size": batch_size,
            "train_examples": examples,
            **({"fixed": fixed} if fixed else {}),
        }
        recorded = records.read_lines(self.results)
        for row in recorded:
            if row["configuration"] == configuration:
                return row
        _check_backend(recorded, self.results)
        checkpoint = None
        if has_checkpoint:
            who = [configuration, self.results.stem, keras.backend.backend()]
            text = json.dumps(who, sort_keys=True)
            name = hashlib.sha256(text.encode()).hexdigest()[:16]
            folder = self.results.parent / "checkpoints"
            checkpoint = Checkpoint(folder / f"{name}.npz")
        row = self._run(configuration, data, checkpoint)
        records.append_line(self.results, row)
        if checkpoint:
            checkpoint.delete()
        return row

    def _run(self, configuration, data, checkpoint):
        peer = PEERS[configuration["optimizer"]]
        run = {"parts": 1, "scheduled": peer.scheduled} | {
            name: configuration[name]
            for name in ("batch_size", "epochs", "seed")
        }
        if configuration["purpose"] == tuning.PURPOSE:
            run["every"] = run["epochs"]
        points, versions, failure = [], records.versions(), None
        commit = records.commit()
        title = "{purpose}, {problem}: {optimizer}".format(**configuration)
        with tqdm(total=run["epochs"], desc=title, unit="epoch") as bar:
            try:
                for point in points_of(
                    configuration, data, run, self.interpreters, checkpoint
                ):
                    versions = versions | point.pop("versions", {})
                    if not point:
                        continue
                    points.append(point)
                    bar.update(point["epoch"] - bar.n)
                    bar.set_postfix(loss=f"{point['train_loss']:.4g}")
            except RunFailed as error:
                failure = str(error)
        return {
            "configuration": configuration,
            "points": points,
            "failure": failure,
            "commit": commit,
            "processor": records.processor(),
            "versions": versions,
        }


# Tables go through one problem after the other.
_load = functools.lru_cache(maxsize=1)(load)


def _check_backend(rows, path):
    backend = keras.backend.backend()
    if not all(backend in row["versions"] for row in rows):
        raise ValueError(
            "`results` must hold the runs of one backend of Keras: give "
            "another file, or set the environment variable KERAS_BACKEND. "
            f"Received: KERAS_BACKEND={backend}, results={path} with runs of "
            "another one"
        )


def points_of(configuration, data, run, interpreters, checkpoint=None):
    """Trains and yields records, whatever the framework.

    Args:
        configuration: Dict with `problem`, `optimizer` and `settings`.
        data: As `tasks.load` returns it.
        run: As in `training_loop.train`, with `scheduled`: whether the rate
            follows the schedule.
        interpreters: As in `Runner`.
        checkpoint: As in `training_loop.train`, for Keras optimizers.

    Yields:
        As `training_loop.train`; another interpreter first `versions`.
    """
    task = TASKS[configuration["problem"]]
    peer = PEERS[configuration["optimizer"]]
    settings = peer.fixed | configuration["settings"]
    settings.pop(BATCH_FACTOR, None)
    steps = count_steps(len(data["x_train"]), run["batch_size"], run["epochs"])
    keras.utils.clear_session()
    model = networks.build(task, run["seed"])
    if peer.make is None:
        description = run | {
            "optimizer": configuration["optimizer"].split()[0],
            "settings": settings,
            "layers": task.layers,
            "targets": task.targets,
            "steps": steps,
        }
        yield from _elsewhere(
            interpreters[peer.module],
            peer.module,
            description,
            data,
            model.get_weights(),
        )
        return
    if run["scheduled"]:
        for name in peer.retuned:
            settings[name] = WarmUpThenDecay(settings[name], steps)
    trainer = KerasTrainer(model, task.targets, peer.make(**settings))
    yield from train(trainer, data, run, checkpoint)


def _elsewhere(interpreter, module, description, data, weights):
    with tempfile.TemporaryDirectory() as folder:
        arrays = {f"weight_{i}": weight for i, weight in enumerate(weights)}
        np.savez(Path(folder) / "arrays.npz", **data, **arrays)
        text = json.dumps(description | {"weights": len(weights)})
        (Path(folder) / "run.json").write_text(text, encoding="utf-8")
        has_begun = False
        with (
            open(Path(folder) / "errors", "w+", encoding="utf-8") as errors,
            subprocess.Popen(
                [
                    interpreter,
                    "-m",
                    f"benchmarks.comparison.{module}",
                    folder,
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process,
        ):
            for line in process.stdout:
                record = json.loads(line)
                has_begun = has_begun or "epoch" in record
                yield record
            if status := process.wait():
                errors.seek(0)
                message = errors.read().strip()
                # What fails before the first step is a fault of the set-up, and
                # a signal, as where memory is short, one of the machine.
                if has_begun and status > 0:
                    raise RunFailed(message[-300:] or f"exit status {status}")
                raise RuntimeError(f"{module}, exit status {status}: {message}")
