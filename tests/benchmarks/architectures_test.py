import json

import keras
import numpy as np
import pytest

import keras_locoprop
from benchmarks import architectures
from benchmarks import problems
from keras_locoprop import coverage


@pytest.fixture
def data():
    x = np.random.uniform(size=(24, 28, 28)).astype("float32")
    y = np.arange(24) % 10
    return problems.Data(x, y, x[:8], y[:8])


@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_every_network_trains_mostly_by_local_problems(name):
    model = keras_locoprop.Model(*architectures.NETWORKS[name]())
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    rows = coverage(model)
    local = sum(row.weights for row in rows if row.trained_by != "fallback")
    assert local > 0.9 * sum(row.weights for row in rows)
    assert rows[-1].activation == "softmax (of the loss)"


def test_prints_a_table_and_keeps_the_results(
    data, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(problems, "load_data", lambda *_: data)
    path = tmp_path / "architectures.jsonl"
    architectures.main(
        f"--network transformer --epochs 2 --results {path}".split()
    )
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["optimizer"] for line in lines] == list(
        architectures.OPTIMIZERS
    )
    for line in lines:
        assert np.all(np.isfinite(line["train_loss"]))
        assert len(line["train_loss"]) == 2
    assert capsys.readouterr().out.count("| transformer |") == len(lines)
