"""Floating-point operations of a training step, in matrix products.

A product of an `(a, b)` and a `(b, c)` matrix counts `2abc`. Elementwise work
is left out: the count over a machine's rate for large products is about the
least that an implementation of the same arithmetic can take.
"""

from keras_locoprop.automatic_step import ADAPTATION_PERIOD
from keras_locoprop.solvers.example_slices import example_slice


def forward_and_backward(kernel_sizes, batch_size):
    """The forward pass, and the gradients at all pre-activations.

    Args:
        kernel_sizes: List of the number of entries of each layer's kernel, the
            first layer first.
        batch_size: Integer.

    Returns:
        Integer.
    """
    forward = 2 * batch_size * sum(kernel_sizes)
    # Nothing below the first layer needs a gradient.
    backward = 2 * batch_size * sum(kernel_sizes[1:])
    return forward + backward


def adam_step(kernel_sizes, batch_size):
    """A step of backpropagation with the gradients of all kernels."""
    gradients = 2 * batch_size * sum(kernel_sizes)
    return forward_and_backward(kernel_sizes, batch_size) + gradients


def locoprop_step(kernel_sizes, batch_size, inner_steps, inner_batch_size):
    """A step of LocoProp.

    Each inner step multiplies its rows by the kernel, `x · W`, and the
    residuals by its rows, `xᵀ r`. The first one has `x · W` from the forward
    pass.

    Args:
        kernel_sizes: As in `forward_and_backward`.
        batch_size: Integer.
        inner_steps: Integer, as in `LocoProp`.
        inner_batch_size: Integer, `"all"` or `None`, as in `LocoProp`.

    Returns:
        Integer.
    """
    total = forward_and_backward(kernel_sizes, batch_size)
    for step in range(inner_steps):
        slice_of = example_slice(step, inner_batch_size, inner_steps)
        _, examples = slice_of(batch_size)
        products = 1 if step == 0 else 2
        total += products * 2 * examples * sum(kernel_sizes)
    return total


def gram_step(units, batch_size, inner_steps):
    """A step with the Gram matrix of all rows in place of the rows.

    On top of Adam's step: the Gram matrix of each layer's inputs, and one
    product with it in each inner step but the first.

    Args:
        units: List: the number of inputs, and of units of each layer.
        batch_size: Integer.
        inner_steps: Integer, as in `LocoProp`.

    Returns:
        Integer.
    """
    shapes = list(zip(units, units[1:]))
    grams = sum(2 * batch_size * (inputs + 1) ** 2 for inputs, _ in shapes)
    products = sum(2 * (inputs + 1) * inputs * out for inputs, out in shapes)
    adam = adam_step(_kernel_sizes(units), batch_size)
    return adam + grams + (inner_steps - 1) * products


def conjugate_gradient_step(units, batch_size, inner_steps):
    """A step of conjugate gradients on all rows.

    On top of Adam's step two products for each product with the Hessian; the
    pre-activations are there already.

    Args:
        units: As in `gram_step`.
        batch_size: Integer.
        inner_steps: Integer, as in `LocoProp`.

    Returns:
        Integer.
    """
    kernels = _kernel_sizes(units)
    products = 2 * 2 * batch_size * sum(kernels)
    return adam_step(kernels, batch_size) + inner_steps * products


def exact_step(units, batch_size, period, output_scaling):
    """A step of exact solutions, refreshes spread over their period.

    On top of Adam's step: the solutions, and, every `period` steps, the forward
    and backward pass for the moments, the moments, and a Cholesky factorization
    (`n³/3`), a triangular solve (`n³`) and a product (`2n³`) for each inverse.

    Args:
        units: As in `gram_step`.
        batch_size: Integer.
        period: Integer, `curvature_period` of `LocoProp`.
        output_scaling: As in `LocoProp`.

    Returns:
        Integer.
    """
    shapes = list(zip(units, units[1:]))
    kernels = _kernel_sizes(units)
    is_full = output_scaling == "full"
    solutions = sum(
        2 * (inputs + 1) ** 2 * outputs
        + is_full * 2 * (inputs + 1) * outputs**2
        for inputs, outputs in shapes
    )
    sides = [inputs + 1 for inputs, _ in shapes]
    if is_full:
        sides += [outputs for _, outputs in shapes]
    refresh = forward_and_backward(kernels, batch_size) + sum(
        2 * batch_size * side**2 + 10 * side**3 // 3 for side in sides
    )
    return adam_step(kernels, batch_size) + solutions + refresh // period


def automatic_step(
    units, batch_size, curvature_rows, period, output_scaling="full"
):
    """A step of `LocoProp("auto")`.

    On top of `exact_step`: the forward pass on part of the rows, with two
    products of the Jacobian, another one after the step, and every 5 steps one
    on all rows.

    Args:
        units: As in `gram_step`.
        batch_size: Integer.
        curvature_rows: Integer, the rows of the quadratic model.
        period: As in `exact_step`.
        output_scaling: Likewise.

    Returns:
        Integer.
    """
    kernels = _kernel_sizes(units)
    products = 2 * curvature_rows * (sum(kernels) * 3 + sum(kernels[1:]) * 2)
    losses = (
        2 * sum(kernels) * (curvature_rows + batch_size // ADAPTATION_PERIOD)
    )
    exact = exact_step(units, batch_size, period, output_scaling)
    return exact + products + losses


def _kernel_sizes(units):
    return [inputs * outputs for inputs, outputs in zip(units, units[1:])]
