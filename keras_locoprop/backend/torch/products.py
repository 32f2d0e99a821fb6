"""PyTorch: products with Jacobians and Hessians.

In reverse mode alone: forward mode is missing for some operations, and so is
the second derivative of fused attention.
"""

import torch
from torch.nn import attention


def jacobian_products(forward, weights, directions):
    # `Jv` is the derivative of `⟨Jᵀu, v⟩` by `u`.
    values = [weight.value for weight in weights]
    with (
        torch.enable_grad(),
        attention.sdpa_kernel(attention.SDPBackend.MATH),
    ):
        outputs, kept = forward()
        moving_outputs = [o for o in outputs if o.requires_grad]
        if not moving_outputs:
            zeros = [torch.zeros_like(output) for output in outputs]
            return outputs, kept, [zeros for _ in directions]
        cotangents = [
            torch.zeros_like(output, requires_grad=True)
            for output in moving_outputs
        ]
        pulled_back = torch.autograd.grad(
            moving_outputs,
            values,
            cotangents,
            create_graph=True,
            materialize_grads=True,
        )
    products = []
    for direction in directions:
        moving = [i for i, part in enumerate(direction) if part is not None]
        of_moving = iter(
            _pulled_back(
                [pulled_back[i] for i in moving],
                [direction[i] for i in moving],
                cotangents,
            )
        )
        products.append(
            [
                next(of_moving) if o.requires_grad else torch.zeros_like(o)
                for o in outputs
            ]
        )
    return [output.detach() for output in outputs], kept, products


def hessian_products(function, points, directions):
    points = [point.detach().requires_grad_() for point in points]
    with torch.enable_grad():
        value = function(points)
        gradient = torch.autograd.grad(
            value, points, create_graph=True, materialize_grads=True
        )
    products = [
        list(_pulled_back(gradient, direction, points))
        for direction in directions
    ]
    return [each.detach() for each in gradient], products


def function_vector_product(function, point, vector):
    point = point.detach().requires_grad_()
    with torch.enable_grad():
        output = function(point)
    return torch.autograd.grad(output, point, vector)[0]


def _pulled_back(outputs, cotangents, sources):
    """`Σ cotangent · ∂output/∂source` for each source; keeps the graph."""
    pairs = [
        (output, cotangent)
        for output, cotangent in zip(outputs, cotangents)
        if output.requires_grad
    ]
    if not pairs:
        return [torch.zeros_like(source) for source in sources]
    outputs, cotangents = zip(*pairs)
    return torch.autograd.grad(
        outputs,
        sources,
        cotangents,
        retain_graph=True,
        materialize_grads=True,
    )
