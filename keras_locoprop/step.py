"""One training step: records, local problems, displacements."""

from keras import ops

from keras_locoprop.targets import make_problems
from keras_locoprop.targets import network_gradient_scale


def displacements(
    optimizer, plan, records, record_gradients, weight_gradients, examples
):
    """Solves all local problems and the fallback's.

    Nothing but the solvers' own slots is changed.

    Args:
        optimizer: `LocoProp`.
        plan: `coverage.Plan`.
        records: List of `tap.Record` of the forward pass.
        record_gradients: List of tensors, aligned with `records`: the gradient
            of the mean loss at each pre-activation, or `None`.
        weight_gradients: List of tensors, aligned with `plan.fallback_weights`:
            the gradient of the mean loss, or `None`.
        examples: Scalar tensor `B`.

    Returns:
        Tuple `(weights, displacements)` of two aligned lists.
    """
    reached = [
        (record, gradient * ops.cast(examples, gradient.dtype))
        for record, gradient in zip(records, record_gradients)
        if gradient is not None
    ]
    weights, moved = [], []
    if reached:
        records, gradients = zip(*reached)
        rate = optimizer.activation_learning_rate
        if optimizer.gradient_scaling == "relative":
            # A batch without any gradient has its targets where it is already.
            rate = rate / ops.maximum(network_gradient_scale(gradients), 1e-30)
        problems = make_problems(
            plan.local_layers, records, gradients, examples, rate
        )
        weights += [w for problem in problems for w in problem.weights]
        moved += optimizer.solver.solve(problems, optimizer.learning_rate)
    reached = [
        (weight, gradient)
        for weight, gradient in zip(plan.fallback_weights, weight_gradients)
        if gradient is not None
    ]
    if reached:
        fallback_weights, gradients = map(list, zip(*reached))
        weights += fallback_weights
        moved += optimizer.fallback.solve(fallback_weights, gradients)
    return weights, moved
