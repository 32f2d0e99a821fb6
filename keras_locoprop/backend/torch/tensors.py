"""PyTorch: single operations."""

import torch
from keras import ops

from keras_locoprop import keras_private


def snapshot(variable):
    return variable.value.detach().clone()


def version(variable):
    if keras_private.in_stateless_scope():
        # What is assigned there stays there.
        return None
    return keras_private.stored_value(variable)._version


def cholesky(matrix):
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return torch.where(failed > 0, torch.nan, factor)


def widest_float():
    # Apple's GPU has no double precision.
    device = ops.convert_to_tensor(0.0).device.type
    return "float32" if device == "mps" else "float64"
