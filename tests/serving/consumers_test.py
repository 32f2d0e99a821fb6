"""Other runtimes answer as Keras does, with neither Keras nor TensorFlow."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

RUN = Path(__file__).parent / "consumers" / "run.py"


def ask(consumer, model, inputs, *details):
    """The answers of `consumer`, in a process of its own."""
    folder = Path(model).parent
    np.save(folder / "inputs.npy", inputs)
    command = [sys.executable, RUN, consumer, model]
    command += [folder / "inputs.npy", folder / "answers.npy", *details]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return np.load(folder / "answers.npy")


def assert_same(answers, trained):
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, trained.answers, rtol=0, atol=1e-5)


def tensor_names(saved_model):
    """The names that the signature's input and output have in the graph."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = (saved_model / "saved_model.pb").read_bytes()
    [graph] = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    signature = graph.signature_def["serving_default"]
    [input_] = signature.inputs.values()
    [output] = signature.outputs.values()
    return input_.name, output.name


def test_tensorflow_c_api_answers(trained, tmp_path):
    package = Path(importlib.util.find_spec("tensorflow").origin).parent
    libraries = list(package.glob("libtensorflow_cc.*"))
    if not libraries:
        pytest.skip("This build of TensorFlow comes without its C library.")
    model = tmp_path / "model"
    trained.model.export(model, verbose=False)
    answers = ask(
        "tensorflow_c",
        model,
        trained.inputs,
        libraries[0],
        *tensor_names(model),
    )
    assert_same(answers, trained)


def test_openvino_answers(trained, tmp_path):
    pytest.importorskip("openvino")
    trained.model.export(tmp_path / "model", verbose=False)
    answers = ask("openvino_runtime", tmp_path / "model", trained.inputs)
    assert_same(answers, trained)


def test_litert_answers(trained, tmp_path):
    pytest.importorskip("keras", minversion="3.13")
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "model.tflite"
    trained.model.export(path, format="litert", verbose=False)
    assert_same(ask("litert", path, trained.inputs), trained)


def test_onnx_runtime_answers(trained, tmp_path):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    trained.model.export(path, format="onnx", verbose=False)
    assert_same(ask("onnx_runtime", path, trained.inputs), trained)
