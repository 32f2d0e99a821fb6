"""The files of an exported model hold its weights, and no optimizer's state."""

import numpy as np
import pytest

# The package that each format needs beside TensorFlow.
FORMATS = {
    "tf_saved_model": "tensorflow",
    "litert": "ai_edge_litert",
    "onnx": "tf2onnx",
}
ENDINGS = {"tf_saved_model": "", "litert": ".tflite", "onnx": ".onnx"}


def contents(path):
    files = [path] if path.is_file() else filter(is_file, path.rglob("*"))
    return b"".join(file.read_bytes() for file in files)


def is_file(path):
    return path.is_file()


def layouts(values):
    """Bytes of `values` in either order; converters transpose kernels."""
    values = np.asarray(values)
    return values.tobytes(), values.T.tobytes()


def slots(optimizer):
    """The values of each slot that training has filled."""
    found = [np.asarray(variable) for variable in optimizer.variables]
    return [values for values in found if values.size > 1 and values.any()]


@pytest.mark.parametrize("format", FORMATS)
def test_export_leaves_the_optimizer_state_out(trained, format, tmp_path):
    pytest.importorskip(FORMATS[format])
    if format == "litert":
        pytest.importorskip("keras", minversion="3.13")
    path = tmp_path / f"model{ENDINGS[format]}"
    trained.model.export(path, format=format, verbose=False)
    stored = contents(path)
    # Converters fold other layers together; the last one stays as it is.
    for weight in trained.model.layers[-1].weights:
        assert any(layout in stored for layout in layouts(weight)), weight.path
    state = slots(trained.model.optimizer)
    assert sum(map(np.size, state)) >= trained.model.count_params()
    for values in state:
        assert not any(layout in stored for layout in layouts(values))
