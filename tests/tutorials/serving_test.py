import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[2]
ONNX_PACKAGES = ("tf2onnx", "onnxruntime")


def run_tutorial(folder, *arguments):
    path = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    finished = subprocess.run(
        [sys.executable, ROOT / "tutorials" / "serving.py", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def assert_answers_as_predict_does(runtime, printed):
    row = re.search(
        rf"^{runtime}: accuracy (0\.\d+), "
        r"differs from predict by at most (\d+e[-+]\d+)$",
        printed,
        re.MULTILINE,
    )
    assert row, printed
    accuracy, difference = map(float, row.groups())
    assert accuracy > 0.5
    assert difference <= 1e-5


def assert_stores_the_weights_only(printed):
    stored = re.findall(r"^    \S+ (\[.*\])$", printed, re.MULTILINE)
    widths = (784, 256, 128, 10)
    expected = [[width] for width in widths[1:]]
    expected += [list(shape) for shape in zip(widths, widths[1:])]
    assert sorted(map(json.loads, stored)) == sorted(expected)


def assert_request_can_be_answered(folder):
    request = json.loads((folder / "request.json").read_text())
    # As TensorFlow Serving looks for it: the version is the folder's name.
    loaded = tf.saved_model.load(str(folder / "digits" / "1"))
    signature = loaded.signatures[request["signature_name"]]
    [answers] = signature(pixels=tf.constant(request["instances"])).values()
    assert answers.shape == (3, 10)
    np.testing.assert_allclose(np.sum(answers, axis=-1), 1, atol=1e-5)


def test_script_runs(tmp_path):
    printed = run_tutorial(
        tmp_path, "--examples", "600", "--epochs", "2", "--output", "out"
    )
    assert_stores_the_weights_only(printed)
    assert "takes pixels, float32 (None, 784)" in printed
    assert re.search(r"gives \w+, float32 \(None, 10\)", printed)
    assert_answers_as_predict_does("TensorFlow", printed)
    assert_request_can_be_answered(tmp_path / "out")
    if all(map(importlib.util.find_spec, ONNX_PACKAGES)):
        assert_answers_as_predict_does("ONNX Runtime", printed)
    else:
        assert "ONNX Runtime: left out" in printed
