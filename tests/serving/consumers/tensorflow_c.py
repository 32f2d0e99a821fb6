"""TensorFlow's C API, which servers in other languages build on."""

import ctypes
from ctypes import POINTER
from ctypes import byref
from ctypes import c_char_p
from ctypes import c_int
from ctypes import c_int64
from ctypes import c_size_t
from ctypes import c_void_p

import numpy as np

FLOAT = 1


class Output(ctypes.Structure):
    _fields_ = [("operation", c_void_p), ("index", c_int)]


FUNCTIONS = {
    "TF_NewStatus": (c_void_p, []),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_NewGraph": (c_void_p, []),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int]
        + 3 * [c_void_p],
    ),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_SessionRun": (
        None,
        [c_void_p, c_void_p]
        + 2 * [POINTER(Output), POINTER(c_void_p), c_int]
        + [c_void_p, c_int, c_void_p, c_void_p],
    ),
}


def load(path):
    library = ctypes.CDLL(path)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def answer(path, inputs, library, input_name, output_name):
    c = load(library)
    status, graph = c.TF_NewStatus(), c.TF_NewGraph()

    def check():
        if c.TF_GetCode(status) != 0:
            raise RuntimeError(c.TF_Message(status).decode())

    session = c.TF_LoadSessionFromSavedModel(
        c.TF_NewSessionOptions(),
        None,
        path.encode(),
        (c_char_p * 1)(b"serve"),
        1,
        graph,
        None,
        status,
    )
    check()
    answers = c_void_p()
    c.TF_SessionRun(
        session,
        None,
        byref(_output(c, graph, input_name)),
        byref(c_void_p(_to_tensor(c, inputs))),
        1,
        byref(_output(c, graph, output_name)),
        byref(answers),
        1,
        None,
        0,
        None,
        status,
    )
    check()
    return _to_array(c, answers)


def _output(c, graph, name):
    operation, index = name.split(":")
    found = c.TF_GraphOperationByName(graph, operation.encode())
    if not found:
        raise ValueError(f"The graph has no operation {operation!r}.")
    return Output(found, int(index))


def _to_tensor(c, array):
    shape = (c_int64 * array.ndim)(*array.shape)
    tensor = c.TF_AllocateTensor(FLOAT, shape, array.ndim, array.nbytes)
    ctypes.memmove(c.TF_TensorData(tensor), array.tobytes(), array.nbytes)
    return tensor


def _to_array(c, tensor):
    if c.TF_TensorType(tensor) != FLOAT:
        raise TypeError("The answer is not of type float32.")
    shape = [c.TF_Dim(tensor, axis) for axis in range(c.TF_NumDims(tensor))]
    size = 4 * int(np.prod(shape))
    values = ctypes.string_at(c.TF_TensorData(tensor), size)
    return np.frombuffer(values, "float32").reshape(shape)
