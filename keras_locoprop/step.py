"""One training step: records, local problems, displacements."""

from keras import ops

from keras_locoprop.counted_rows import counted_rows
from keras_locoprop.counted_rows import doubted_examples
from keras_locoprop.local_layers import groups_by_weights
from keras_locoprop.precision import in_full_precision
from keras_locoprop.targets import make_problems
from keras_locoprop.targets import target_rates


def displacements(
    optimizer,
    plan,
    records,
    record_gradients,
    weight_gradients,
    examples,
    sample_weight,
    loss_scale,
    local_gradients=None,
):
    """Solves all local problems and the fallback's.

    Nothing but the solvers' own slots and the optimizer's `gradient_size` is
    changed.

    Args:
        optimizer: `LocoProp`.
        plan: `plan.Plan`.
        records: List of `tap.Record` of the forward pass.
        record_gradients: List of tensors, aligned with `records`: the gradient
            of the scaled mean loss at each pre-activation, or `None`.
        weight_gradients: List of tensors, aligned with `plan.fallback_weights`:
            the gradient of the scaled mean loss, or `None`.
        examples: Scalar tensor `B`.
        sample_weight: The sample weights of the batch: `None`, a tensor or a
            structure of tensors.
        loss_scale: Scalar tensor: what the mean loss was multiplied by before
            it was differentiated.
        local_gradients: List of tensors, aligned with `plan.local_weights`: the
            gradient of the scaled mean loss; or `None`: not known.

    Returns:
        Tuple `(weights, displacements)` of two aligned lists.
    """
    reached = [
        (record, gradient)
        for record, gradient in zip(records, record_gradients)
        if gradient is not None
    ]
    weights, moved = [], []
    if reached:
        records, gradients = zip(*reached)
        doubted = doubted_examples(records, sample_weight)
        counts = [
            counted_rows(record, gradient, doubted)
            for record, gradient in reached
        ]
        problems = make_problems(
            groups_by_weights(plan.local_layers),
            records,
            gradients,
            counts,
            examples,
            target_rates(
                optimizer, records, gradients, counts, examples, loss_scale
            ),
            None
            if local_gradients is None
            else dict(zip(map(id, plan.local_weights), local_gradients)),
        )
        weights += [w for problem in problems for w in problem.weights]
        moved += optimizer.state.solver.solve(
            problems, optimizer.solver_learning_rate
        )
        for observer in optimizer.observers:
            observer(problems, moved)
    # Half precision may not hold the scale.
    reached = [
        (weight, full / ops.cast(loss_scale, full.dtype))
        for weight, gradient in zip(plan.fallback_weights, weight_gradients)
        if gradient is not None
        for full in [in_full_precision(gradient)]
    ]
    if reached:
        fallback_weights, gradients = map(list, zip(*reached))
        weights += fallback_weights
        moved += optimizer.state.fallback.solve(fallback_weights, gradients)
    return weights, moved
