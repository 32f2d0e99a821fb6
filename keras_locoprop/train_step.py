"""LocoProp's step, and the train step of Keras around it."""

import types
import warnings

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop import step
from keras_locoprop.curvature_moments import update_moments
from keras_locoprop.layers import layer_kind_of
from keras_locoprop.local_problem import trainable_weights
from keras_locoprop.network import Network
from keras_locoprop.optimizer import LocoProp
from keras_locoprop.plan import check_is_model
from keras_locoprop.plan import make_plan
from keras_locoprop.precision import in_full_precision
from keras_locoprop.tap import recording


def find_locoprop(optimizer):
    """The `LocoProp` that an optimizer is, or scales the loss for, if any."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer if isinstance(optimizer, LocoProp) else None


def prepare_optimizer(model, was_called=False):
    """Divides the weights of a model among the solvers of its optimizer.

    Args:
        model: A `keras.Model` compiled with `LocoProp`.
        was_called: Boolean. Whether the model has just been called: a layer
            that is not built by then is never used, and has no weights.

    Returns:
        The `plan.Plan`, or `None` if the model is not built yet.
    """
    optimizer = find_locoprop(model.optimizer)
    if backend.replicas() > 1:
        raise ValueError(
            "`LocoProp` trains on one device at a time. Received: a "
            f"distribution strategy with {backend.replicas()} replicas."
        )
    if not (was_called or _is_built(model)):
        return None
    plan = make_plan(model, optimizer.variant, optimizer.exclude)
    if not plan.local_weights and plan.fallback_weights:
        warnings.warn(
            "No layer of this model has a local problem: all weights are "
            "trained by `fallback_optimizer`. See "
            f"`keras_locoprop.coverage(model)`:\n{plan.coverage}",
            stacklevel=2,
        )
    optimizer.attach(plan)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return plan


def train_step(model, data):
    """LocoProp's counterpart of Keras's `train_step`.

    Args:
        model: A `keras.Model` compiled with `LocoProp`.
        data: A batch: `x`, `(x, y)` or `(x, y, sample_weight)`.

    Returns:
        Dict of metrics.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    examples = _number_of_examples(x)
    if not _is_built(model):
        keras_private.call_model(model, x, training=False)
    result = types.SimpleNamespace()

    def compute_loss():
        result.prediction = keras_private.call_model(model, x, training=True)
        loss = keras_private.compute_loss(
            model,
            x=x,
            y=y,
            y_pred=result.prediction,
            sample_weight=sample_weight,
            training=True,
        )
        keras_private.loss_tracker(model).update_state(
            loss, sample_weight=examples
        )
        return loss

    plan = prepare_optimizer(model, was_called=True)
    network = Network(model, plan.local_layers, x, y, sample_weight)
    _take_step(model, plan, compute_loss, examples, sample_weight, network)
    return model.compute_metrics(
        x, y, result.prediction, sample_weight=sample_weight
    )


def minimize(model, compute_loss, examples, sample_weight=None):
    """Takes one step of `LocoProp` on a loss of your own.

    For training loops of your own and for models that override `train_step`:
    it stands where a built-in optimizer has a gradient tape and
    `optimizer.apply`.

    Args:
        model: A built `keras.Model` that is compiled with `LocoProp`. Its
            trainable variables are trained.
        compute_loss: Callable without arguments. It calls the model, or the
            layers in it, and returns the loss: a scalar, the mean over the
            examples of the batch. It is called once. Regularizers of layers
            with a local problem act by themselves; those of other weights
            only if `model.losses` is in it.
        examples: Integer or scalar tensor: the number of examples in the batch.
        sample_weight: The sample weights that the loss has in it, if any, as
            `fit` takes them: examples of weight zero are then left out of the
            local problems. Defaults to `None`.

    Returns:
        The loss before the step, a scalar tensor.

    Raises:
        ValueError: If `model` is not a `keras.Model`, is not built or is not
            compiled with `LocoProp`.

    Example:

    >>> import numpy as np
    >>> class Autoencoder(keras_locoprop.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.encoder = keras.layers.Dense(2, activation="tanh")
    ...         self.decoder = keras.layers.Dense(8)
    ...     def call(self, inputs):
    ...         return self.decoder(self.encoder(inputs))
    ...     def train_step(self, data):
    ...         def compute_loss():
    ...             error = self(data, training=True) - data
    ...             return keras.ops.mean(keras.ops.square(error))
    ...         examples = keras.ops.shape(data)[0]
    ...         loss = keras_locoprop.minimize(self, compute_loss, examples)
    ...         return {"squared_error": loss}
    >>> model = Autoencoder()
    >>> data = np.random.normal(size=(64, 8)).astype("float32")
    >>> outputs = model(data)
    >>> model.compile(optimizer=keras_locoprop.LocoProp())
    >>> list(model.fit(data, verbose=0, batch_size=32).history)
    ['squared_error']
    """
    check_is_model(model)
    optimizer = find_locoprop(getattr(model, "optimizer", None))
    if optimizer is None:
        raise ValueError(
            "`model` must be compiled with `LocoProp`. Received: "
            f"model.optimizer={getattr(model, 'optimizer', None)}"
        )
    plan = prepare_optimizer(model)
    if plan is None:
        raise ValueError(
            "`model` must be built before its first step, with all layers in "
            f"it: call it once on a batch. Received: model={model}"
        )
    if optimizer.state.needs_network:
        raise ValueError(
            '`learning_rate="auto"` and `solver="exact"` need to know where '
            "the network ends and the loss begins: they work in `fit`, but not "
            "with `minimize`. Received: "
            f"solver={optimizer.solver!r}"
        )
    return _take_step(model, plan, compute_loss, examples, sample_weight)


def _take_step(
    model, plan, compute_loss, examples, sample_weight, network=None
):
    optimizer = find_locoprop(model.optimizer)
    state = model.non_trainable_variables + optimizer.solver_variables
    before = [backend.snapshot(variable) for variable in state]
    result = types.SimpleNamespace()

    def forward():
        result.loss = compute_loss()
        return model.optimizer.scale_loss(result.loss)

    with recording(local.layer for local in plan.local_layers) as records:
        record_gradients, weight_gradients = backend.differentiate(
            forward,
            lambda: [record.preactivation for record in records],
            plan.fallback_weights + plan.local_weights,
        )
    fallback_gradients, local_gradients = (
        weight_gradients[: len(plan.fallback_weights)],
        weight_gradients[len(plan.fallback_weights) :],
    )
    _check_records(plan, records, record_gradients, local_gradients)
    loss_scale = model.optimizer.scale_loss(ops.ones(()))
    solver = optimizer.state.solver
    if optimizer.state.needs_curvature:
        ops.cond(
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
        # A loss of one's own may leave the regularizers out.
        None if network is None else local_gradients,
    )
    if optimizer.state.automatic_step is not None:
        displacements = _automatic_displacements(
            optimizer,
            plan,
            network,
            weights,
            displacements,
            local_gradients + fallback_gradients,
            loss_scale,
            result.loss,
        )
    scales_loss = (
        model.optimizer is not optimizer
        or optimizer.loss_scale_factor is not None
    )

    def apply(displacements):
        with optimizer.accepting_displacements():
            if scales_loss:
                # Keras divides by it what it takes for gradients.
                displacements = [
                    d * ops.cast(loss_scale, d.dtype) for d in displacements
                ]
            model.optimizer.apply(displacements, weights)

    def skip():
        for variable, value in zip(state, before):
            variable.assign(value)
        optimizer.skipped_steps.assign_add(1)
        if model.optimizer is not optimizer:
            # A loss-scaling optimizer has to see the overflow to react to it.
            apply([d * float("nan") for d in displacements])

    finite = _all_finite(
        [result.loss, *displacements, *optimizer.volatile_variables]
    )
    ops.cond(finite, lambda: apply(displacements), skip)
    return result.loss


def _automatic_displacements(
    optimizer, plan, network, weights, displacements, gradients, scale, loss
):
    """Combines the displacements by `AutomaticStep`."""
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
    return state.automatic_step.combine(
        network,
        weights,
        groups,
        [
            gradient_of[id(weight)]
            / ops.cast(scale, gradient_of[id(weight)].dtype)
            for weight in weights
        ],
        loss,
        state.solver.curvature_size if state.needs_curvature else 0.0,
        optimizer.iterations,
        optimizer.learning_rate,
    )


def _number_of_examples(x):
    first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    examples = ops.shape(first)[0]
    if isinstance(examples, int) and examples == 0:
        raise ValueError(
            "`x` must hold at least one example. "
            f"Received: an input of shape {tuple(first.shape)}"
        )
    return examples


def _is_built(model):
    # A model without a `call`, all of whose work is in its `train_step`, is
    # never built as a whole.
    has_call = type(model).call is not keras.Model.call
    return (model.built or not has_call) and all(
        layer.built for layer in keras_private.all_sublayers(model)
    )


def _check_records(plan, records, record_gradients, local_gradients):
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
    moving = {
        id(weight)
        for weight, gradient in zip(plan.local_weights, local_gradients)
        # Its regularizer alone gives a weight a gradient.
        if gradient is not None and weight.regularizer is None
    }
    for local in plan.local_layers:
        weights = trainable_weights(local.kind, local.layer)
        if (moving - reached).isdisjoint(map(id, weights)):
            continue
        raise ValueError(
            "`exclude` must name layers that are called where their inputs "
            "cannot be recorded, as inside a loop, a condition or a "
            f"`tf.function` of its own. Received: {local.name!r} is such a "
            "layer, and is not excluded."
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
