"""The quadratic model of the training loss, along a few directions."""

from keras import ops

# What rounding in half precision makes of a loss, relative to it.
LOSS_ROUNDING = 1e-3


def minimizer(slopes, curvatures):
    """Minimizes `-bᵀα + ½ αᵀKα`.

    Args:
        slopes: Tensor `b` of shape `(n,)`: how steeply the loss falls along
            each direction.
        curvatures: Tensor `K` of shape `(n, n)`, positive semidefinite.

    Returns:
        Tensor `α`. A direction without curvature, as that of a first step's
        momentum, has the coefficient 0.
    """
    diagonal = ops.diagonal(curvatures)
    has_curvature = diagonal > 0
    scale = ops.where(
        has_curvature,
        1.0 / ops.sqrt(ops.where(has_curvature, diagonal, 1.0)),
        0.0,
    )
    # Directions of very different lengths; nearly parallel ones must not blow
    # each other up.
    correlations = curvatures * scale[:, None] * scale[None, :]
    identity = ops.eye(slopes.shape[0], dtype=slopes.dtype)
    correlations = ops.where(identity > 0, 1.0 + 1e-5, correlations)
    solution = ops.solve(correlations, (slopes * scale)[:, None])[:, 0]
    return solution * scale


def minimizer_with_less_of_last(slopes, curvatures, share):
    """Minimizes `-bᵀα + ½ αᵀKα` for a given coefficient of the last direction.

    That is `share` times the one it has in the minimum. The model falls by no
    less than it would without the last direction.

    Args:
        slopes: As in `minimizer`.
        curvatures: Likewise.
        share: Scalar tensor in `[0, 1]`.

    Returns:
        Tensor `α`.
    """
    last = share * minimizer(slopes, curvatures)[-1]
    others = minimizer(
        slopes[:-1] - last * curvatures[:-1, -1], curvatures[:-1, :-1]
    )
    return ops.concatenate([others, last[None]])


def decrease_of_model(coefficients, slopes, curvatures):
    """`bᵀα - ½ αᵀKα`: by how much the model falls; see `minimizer`."""
    bend = ops.matmul(curvatures, coefficients[:, None])[:, 0]
    return ops.sum(coefficients * (slopes - 0.5 * bend))


def is_harmful(rise, loss):
    """Whether a step raises the loss, by more than rounding does.

    Args:
        rise: Scalar tensor: the loss after the step minus that before.
        loss: Scalar tensor: the loss before.

    Returns:
        Boolean scalar tensor; true as well where `rise` is not a number.
    """
    return ops.logical_not(rise <= LOSS_ROUNDING * ops.abs(loss))


def adapted_damping(damping, reduction_ratio, less, more, floor, ceiling):
    """Levenberg's and Marquardt's rule.

    Args:
        damping: Scalar tensor.
        reduction_ratio: Scalar tensor: the actual decrease of the loss over
            that of its model.
        less: Scalar tensor, a smaller damping.
        more: Scalar tensor, a larger one.
        floor: Scalar tensor or float.
        ceiling: Float.

    Returns:
        Scalar tensor: `less` where the model is right (a ratio above 3/4),
        `more` where it is not (below 1/4, or not a number).

    Reference:
        Martens, Grosse, [Optimizing Neural Networks with Kronecker-factored
        Approximate Curvature](https://arxiv.org/abs/1503.05671), Section 6.5.
    """
    adapted = ops.where(
        reduction_ratio > 0.75,
        less,
        ops.where(reduction_ratio >= 0.25, damping, more),
    )
    return ops.clip(adapted, floor, ceiling)
