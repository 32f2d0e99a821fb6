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
    some = dict(list(architectures.OPTIMIZERS.items())[:2])
    monkeypatch.setattr(architectures, "OPTIMIZERS", some)
    path = tmp_path / "architectures.jsonl"
    architectures.main(
        f"--network transformer --epochs 2 --results {path}".split()
    )
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["optimizer"] for line in lines] == list(some)
    for line in lines:
        assert np.all(np.isfinite(line["train_loss"]))
        assert len(line["train_loss"]) == 2
    assert capsys.readouterr().out.count("| transformer |") == len(lines)


def test_the_summary_is_of_the_usual_size_and_marks_the_lowest_loss():
    def row(network, optimizer, loss, epochs=4):
        return {
            "network": network,
            "optimizer": optimizer,
            "examples": 12_000,
            "epochs": epochs,
            "batch_size": 128,
            "train_loss": [1.0, loss],
            "seconds_of_last_epoch": 2.0,
        }

    names = list(architectures.OPTIMIZERS)
    rows = [
        row(network, name, 0.5 - 0.1 * (name == names[1]))
        for network in architectures.NETWORKS
        for name in names
    ]
    rows.append(row("residual", names[0], 0.1, epochs=2))
    *_, residual, _ = architectures.summary(rows).splitlines()
    cells = ["0.500, 2.0 s", "**0.400**, 2.0 s", *["0.500, 2.0 s"] * 2]
    assert residual == f"| residual | {' | '.join(cells)} |"
