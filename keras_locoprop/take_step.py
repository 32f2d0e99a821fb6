"""LocoProp's step: a loss and a model in, moved weights out."""

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop import step
from keras_locoprop.curvature_moments import update_moments
from keras_locoprop.layers import layer_kind_of
from keras_locoprop.local_problem import trainable_weights
from keras_locoprop.precision import in_full_precision
from keras_locoprop.tap import recording


@backend.step_function
def take_step(
    model,
    optimizer,
    plan,
    compute_loss,
    examples,
    sample_weight,
    network=None,
    has_regularizers=False,
):
    """Takes one step: one forward and one backward pass, all displacements.

    A step whose loss or displacements are not finite changes nothing.

    Args:
        model: A `keras.Model`.
        optimizer: The `LocoProp` that is its optimizer, or inside of it.
        plan: `plan.Plan`.
        compute_loss: Callable without arguments; returns the loss, and
            whatever else is wanted of the forward pass.
        examples: Scalar tensor, the number of examples in the batch.
        sample_weight: The sample weights that the loss has in it, or `None`.
        network: `Network` on the batch, where the solvers need it. Defaults to
            `None`.
        has_regularizers: Boolean. Whether those of the layers are known to be
            in the loss. Defaults to `False`.

    Returns:
        What `compute_loss` returned, before the step.
    """
    averaged_weights = optimizer.state.averaged_weights
    state = model.non_trainable_variables + optimizer.solver_variables
    before = [backend.snapshot(variable) for variable in state]
    missed = []

    def forward():
        layers = (local.layer for local in plan.local_layers)
        with recording(layers, missed) as records:
            loss, outputs = compute_loss()
        return (
            model.optimizer.scale_loss(loss),
            [record.preactivation for record in records],
            (loss, outputs, records),
        )

    (loss, outputs, records), record_gradients, weight_gradients = (
        backend.differentiate(
            forward, plan.fallback_weights + plan.local_weights
        )
    )
    fallback_gradients, local_gradients = (
        weight_gradients[: len(plan.fallback_weights)],
        weight_gradients[len(plan.fallback_weights) :],
    )
    _check_gradients(weight_gradients)
    _check_records(plan, records, record_gradients, local_gradients, missed)
    loss_scale = model.optimizer.scale_loss(ops.ones(()))
    scales_loss = (
        model.optimizer is not optimizer
        or optimizer.loss_scale_factor is not None
    )
    solver = optimizer.state.solver
    if optimizer.state.needs_curvature:
        backend.cond(
            solver.is_due(optimizer.iterations),
            lambda: update_moments(
                solver, network, plan.matrices, optimizer.state.seed
            ),
            lambda: None,
        )
    weights, displacements = step.displacements(
        optimizer,
        plan,
        records,
        record_gradients,
        fallback_gradients,
        examples,
        sample_weight,
        loss_scale,
        local_gradients if has_regularizers else None,
    )
    if optimizer.state.automatic_step is not None:
        displacements = _automatic_displacements(
            optimizer,
            plan,
            network,
            weights,
            displacements,
            local_gradients + fallback_gradients,
            loss_scale if scales_loss else None,
            loss,
        )

    def apply(displacements):
        with optimizer.accepting_displacements():
            if scales_loss:
                # Keras divides by it what it takes for gradients. Half
                # precision may not hold the product.
                displacements = [
                    d * ops.cast(loss_scale, d.dtype)
                    for d in map(in_full_precision, displacements)
                ]
            backend.apply(model.optimizer, displacements, weights)

    def move():
        apply(displacements)
        averaged_weights.follow()

    def skip():
        for variable, value in zip(state, before):
            variable.assign(value)
        optimizer.skipped_steps.assign_add(1)
        if model.optimizer is not optimizer:
            # A loss-scaling optimizer has to see the overflow to react to it.
            apply([d * float("nan") for d in displacements])

    finite = _all_finite([loss, *displacements, *optimizer.volatile_variables])
    backend.cond(finite, move, skip)
    return loss, outputs


def _automatic_displacements(
    optimizer, plan, network, weights, displacements, gradients, scale, loss
):
    """Combines the displacements by `AutomaticStep`.

    `scale` is what the loss was multiplied by, or `None`: by nothing.
    """
    state = optimizer.state
    gradient_of = dict(
        zip(map(id, plan.local_weights + plan.fallback_weights), gradients)
    )
    local = set(map(id, plan.local_weights))
    in_closed_form = set()
    if state.needs_curvature:
        in_closed_form = local & state.solver.weight_ids
    kinds = [
        2 * (id(weight) in in_closed_form) + (id(weight) in local)
        for weight in weights
    ]
    groups = [
        [d if kind == group else None for d, kind in zip(displacements, kinds)]
        for group in sorted(set(kinds), reverse=True)
    ]
    gradients = [in_full_precision(gradient_of[id(w)]) for w in weights]
    return state.automatic_step.combine(
        network,
        weights,
        groups,
        gradients
        if scale is None
        else [g / ops.cast(scale, g.dtype) for g in gradients],
        loss,
        state.solver.curvature_size if state.needs_curvature else 0.0,
        optimizer.iterations,
        optimizer.learning_rate,
    )


def _check_gradients(gradients):
    if gradients and all(gradient is None for gradient in gradients):
        raise ValueError(
            "`loss` must depend on the weights by operations that have a "
            "gradient, which comparisons, `argmax` and casts to integers have "
            "not. Received: a loss without a gradient for any of the "
            f"{len(gradients)} weights that are trained"
        )


def _check_records(plan, records, record_gradients, local_gradients, missed):
    """Raises if a local problem is missing for a weight that should have one.

    The gradients of the weights themselves serve no other purpose: in a graph
    they are not computed.
    """
    reached = {
        id(weight)
        for record, gradient in zip(records, record_gradients)
        if gradient is not None
        for weight in layer_kind_of(record.layer).weights(record.layer)
    }
    with_gradient = [
        weight
        for weight, gradient in zip(plan.local_weights, local_gradients)
        if gradient is not None
    ]
    # Its regularizer alone gives a weight a gradient.
    moving = {id(w) for w in with_gradient if w.regularizer is None} - reached
    missed_ids = set(map(id, missed))
    for local in plan.local_layers:
        weights = set(map(id, trainable_weights(local.kind, local.layer)))
        needed = moving
        if id(local.layer) in missed_ids:
            needed = set(map(id, with_gradient))
        if needed.isdisjoint(weights):
            continue
        raise ValueError(
            "`exclude` must name layers that are called where their inputs "
            "cannot be recorded, as inside a loop, a condition or a "
            "compiled or rematerialized function of their own. Received: "
            f"{local.name!r} is such a layer, and is not excluded."
        )


def _all_finite(tensors):
    # A sum is finite only if all of its terms are, and takes one pass.
    return ops.all(
        ops.stack(
            [
                ops.isfinite(ops.sum(in_full_precision(tensor)))
                for tensor in tensors
                if keras.backend.is_float_dtype(tensor.dtype)
            ]
        )
    )
