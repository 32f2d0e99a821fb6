"""Floating-point operations of a training step, in matrix products.

A product of an `(a, b)` and a `(b, c)` matrix counts `2abc`. Elementwise work
is left out: the count over a machine's rate for large products is about the
least that an implementation of the same arithmetic can take.
"""

from keras_locoprop.solvers.row_slices import row_slice


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
        slice_of = row_slice(step, inner_batch_size, inner_steps)
        _, rows = slice_of(batch_size)
        products = 1 if step == 0 else 2
        total += products * 2 * rows * sum(kernel_sizes)
    return total
