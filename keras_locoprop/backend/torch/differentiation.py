"""PyTorch: gradients."""

import contextlib

import keras
import torch


def probe(tensor):
    if torch.is_grad_enabled() and not tensor.requires_grad:
        tensor = tensor.detach().requires_grad_()
    return tensor


def differentiate(forward, weights):
    values = [weight.value for weight in weights]
    with _differentiable(values):
        loss, probed, kept = forward()
        gradients = torch.autograd.grad(
            loss, probed + values, allow_unused=True
        )
    return _detached(kept), gradients[: len(probed)], gradients[len(probed) :]


def pulled_back(forward, cotangents):
    with torch.enable_grad():
        outputs, probed, kept = forward()
    kept = _detached(kept)
    gradients = torch.autograd.grad(
        outputs, probed, cotangents(kept), allow_unused=True
    )
    return kept, gradients


def gradient(function, variable):
    value = variable.value.detach().requires_grad_()
    with torch.enable_grad():
        result = function(value)
    if not result.requires_grad:
        # It does not depend on the variable.
        return torch.zeros_like(value)
    return torch.autograd.grad(result, value, materialize_grads=True)[0]


def vector_jacobian_product(function, variables, vector):
    values = [variable.value for variable in variables]
    with _differentiable(values):
        outputs = function()
        return torch.autograd.grad(
            outputs, values, vector, materialize_grads=True
        )


@contextlib.contextmanager
def _differentiable(values):
    """Within it, frozen weights can be differentiated by as well."""
    frozen = [value for value in values if not value.requires_grad]
    for value in frozen:
        value.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        for value in frozen:
            value.requires_grad_(False)


def _detached(structure):
    """The structure with tensors that hold on to no forward pass."""
    return keras.tree.map_structure(
        lambda leaf: leaf.detach() if isinstance(leaf, torch.Tensor) else leaf,
        structure,
    )
