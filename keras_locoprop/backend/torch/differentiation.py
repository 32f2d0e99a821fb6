"""PyTorch: gradients."""

import contextlib
import itertools

import keras
import torch

from keras_locoprop import keras_private


def probe(tensor):
    if torch.is_grad_enabled() and not tensor.requires_grad:
        tensor = tensor.detach().requires_grad_()
    return tensor


def differentiate(forward, weights):
    values = [weight.value for weight in weights]
    with _differentiable(values):
        loss, probed, kept = forward()
        gradients = _gradients([loss], probed + values, None)
    return _detached(kept), gradients[: len(probed)], gradients[len(probed) :]


def pulled_back(forward, cotangents):
    with torch.enable_grad():
        outputs, probed, kept = forward()
    kept = _detached(kept)
    return kept, _gradients(outputs, probed, cotangents(kept))


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


def _gradients(outputs, sources, cotangents):
    """Gradients, or `None` where there is none, at sources."""
    depends = [output.requires_grad for output in outputs]
    if not any(depends):
        return [None] * len(sources)
    if cotangents is not None:
        cotangents = list(itertools.compress(cotangents, depends))
    return torch.autograd.grad(
        list(itertools.compress(outputs, depends)),
        sources,
        cotangents,
        allow_unused=True,
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

    def detached(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        alone = leaf.detach()
        mask = keras_private.mask_of(leaf)
        if mask is not None:
            # Metrics leave out what it leaves out.
            keras_private.set_mask(alone, mask)
        return alone

    return keras.tree.map_structure(detached, structure)
