"""The networks of the peers are those of Keras, and they train.

Interpreters with the peers' libraries are named by environment variables;
without one its tests are skipped.
"""

import os

import numpy as np
import pytest

from benchmarks.comparison import networks
from benchmarks.comparison import runs
from benchmarks.comparison import tasks
from benchmarks.comparison.peers import PEERS

INTERPRETERS = {
    "jax_peer": os.environ.get("KFAC_PYTHON"),
    "torch_peer": os.environ.get("TORCH_PYTHON"),
}


def needs(module):
    return pytest.mark.skipif(
        not INTERPRETERS[module], reason=f"no interpreter is named for {module}"
    )


PAIRS = [
    pytest.param(optimizer, problem, marks=needs(peer.module))
    for optimizer, peer in PEERS.items()
    if peer.module
    for problem in ("tiny", "mixed", *tasks.TASKS)
    if problem not in peer.unsupported
]
# Every kind of layer but those of sequences, in a few weights.
MIXED = tasks.Task(
    "convolutions",
    "mnist",
    (9, 8, 2),
    (
        ("convolution", 3, 2, "tanh"),
        ("pooling", 2),
        ("flatten",),
        ("dense", 4, "relu"),
        ("dense", 3, "softmax"),
    ),
    batch_size=8,
    epochs=2,
)


def random_data(task):
    generator = np.random.default_rng(0)
    shape = (24, *task.input_shape)
    x = generator.random(shape).astype("float32")
    if task.source == "words":
        x = generator.integers(tasks.words.SYMBOLS, size=shape).astype("int32")
    y = x if task.targets == "inputs" else generator.integers(3, size=24)
    return {"x_train": x, "y_train": y, "x_test": x[:9], "y_test": y[:9]}


def losses(optimizer, problem, data, epochs, **changes):
    run = {
        "batch_size": 8,
        "epochs": epochs,
        "seed": 0,
        "parts": 1,
        "scheduled": PEERS[optimizer].scheduled,
    }
    configuration = {
        "problem": problem,
        "optimizer": optimizer,
        "settings": PEERS[optimizer].start | changes,
    }
    points = runs.points_of(configuration, data, run, INTERPRETERS)
    return [point for point in points if "epoch" in point]


def build_at_random(task, seed, build=networks.build):
    """The model, with none of its biases zero and no factor one."""
    model = build(task, seed)
    generator = np.random.default_rng(seed)
    model.set_weights(
        [
            value + generator.normal(0.0, 0.1, value.shape)
            for value in model.get_weights()
        ]
    )
    return model


@pytest.mark.parametrize(("optimizer", "problem"), PAIRS)
def test_the_loss_is_that_of_keras(tiny, monkeypatch, optimizer, problem):
    monkeypatch.setitem(tasks.TASKS, "mixed", MIXED)
    monkeypatch.setattr(networks, "build", build_at_random)
    data = random_data(tasks.TASKS[problem])
    [elsewhere] = losses(optimizer, problem, data, 0)
    [here] = losses("Adam", problem, data, 0)
    for name in here.keys() - {"seconds", "compile_seconds"}:
        assert elsewhere[name] == pytest.approx(here[name], rel=2e-5), name


@pytest.mark.parametrize(
    ("optimizer", "problem"), [p for p in PAIRS if p.values[1] == "tiny"]
)
def test_the_loss_falls(tiny, optimizer, problem):
    start, *_, end = losses(optimizer, problem, tiny, 4)
    assert end["epoch"] == 4 and end["seconds"] > 0
    assert end["train_loss"] < start["train_loss"]


def patched(monkeypatch, tmp_path, module, patch):
    """Has a peer's module run with something else in it."""
    interpreter = tmp_path / "interpreter"
    text = f"""#!/bin/sh
exec {INTERPRETERS[module]} - "$3" << 'END'
from benchmarks.comparison import {module} as peer
{patch}
peer.main()
END
"""
    interpreter.write_text(text, encoding="utf-8")
    interpreter.chmod(0o755)
    monkeypatch.setitem(INTERPRETERS, module, str(interpreter))


COLD_STARTS = {
    "jax_peer": "peer.KfacTrainer.warm_up = lambda self, *xy: self.start(xy)",
    "torch_peer": "peer.GradientTrainer.warm_up = lambda self, *xy: None",
}


@pytest.mark.parametrize(
    ("optimizer", "problem"), [p for p in PAIRS if p.values[1] == "tiny"]
)
def test_warming_up_leaves_no_trace(
    tiny, monkeypatch, tmp_path, optimizer, problem
):
    def trained():
        points = losses(optimizer, problem, tiny, 2)
        return [point["train_loss"] for point in points]

    warm = trained()
    module = PEERS[optimizer].module
    patched(monkeypatch, tmp_path, module, COLD_STARTS[module])
    np.testing.assert_allclose(trained(), warm, rtol=1e-6)


SGD = """
import torch

def make_optimizer(self):
    self.rate = self.run["settings"]["lr"]
    self.optimizer = torch.optim.SGD(self.model.parameters())
    self.optimizers = [self.optimizer]

peer.GradientTrainer.make_optimizer = make_optimizer
"""


@needs("torch_peer")
def test_batches_and_rates_are_those_of_keras(tiny, monkeypatch, tmp_path):
    patched(monkeypatch, tmp_path, "torch_peer", SGD)
    [*elsewhere], [*here] = (
        [p["train_loss"] for p in losses(name, "tiny", tiny, 3, **settings)]
        for name, settings in (
            ("SOAP (pytorch_optimizer)", {"lr": 0.1}),
            ("SGD, momentum", {"learning_rate": 0.1, "momentum": 0.0}),
        )
    )
    np.testing.assert_allclose(elsewhere, here, rtol=1e-5)
    assert here[-1] < 0.99 * here[0]


@needs("jax_peer")
def test_weights_of_kfac_are_averaged(tiny):
    def trained(**changes):
        points = losses("K-FAC (kfac-jax)", "tiny", tiny, 3, **changes)
        return [point["train_loss"] for point in points]

    def averaged(momentum):
        return trained(use_ema=True, ema_momentum=momentum)

    plain = trained()
    np.testing.assert_allclose(averaged(0.0), plain, rtol=1e-5)
    # The first step gives the mean, and next to nothing comes to it.
    before, first, *later = averaged(1 - 1e-6)
    assert before == pytest.approx(plain[0], rel=1e-5) and first < before
    np.testing.assert_allclose(later, first, rtol=1e-4)
    assert plain[-1] < averaged(0.9)[-1] < first
