import numpy as np
import pytest

from benchmarks.comparison import runs
from benchmarks.comparison import tasks
from benchmarks.comparison.runs import Runner

TINY = tasks.Task(
    "tiny autoencoder",
    "mnist",
    (12,),
    (("dense", 8, "tanh"), ("dense", 3, "linear"), ("dense", 12, "sigmoid")),
    batch_size=8,
    epochs=2,
    targets="inputs",
)
TINY_CLASSIFIER = TINY._replace(
    title="tiny classifier",
    layers=(("dense", 8, "relu"), ("dense", 3, "softmax")),
    targets="labels",
    tuned_on="tiny",
)


def load_tiny(task, *_):
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(64, 3))
    x = 1 / (1 + np.exp(-codes @ generator.normal(size=(3, 12))))
    x = x.astype("float32")
    y = x if task.targets == "inputs" else np.argmax(codes, axis=1)
    return {
        "x_train": x[:40],
        "y_train": y[:40],
        "x_test": x[40:],
        "y_test": y[40:],
    }


@pytest.fixture
def tiny(monkeypatch):
    """A small problem, and one that starts from its settings."""
    monkeypatch.setitem(tasks.TASKS, "tiny", TINY)
    monkeypatch.setitem(tasks.TASKS, "tiny_classifier", TINY_CLASSIFIER)
    monkeypatch.setattr(runs, "_load", load_tiny)
    return load_tiny(TINY)


@pytest.fixture
def runner(tiny, tmp_path):
    return Runner(tmp_path / "comparison.jsonl", {})
