"""The train step of Keras, around LocoProp's own step."""

import contextlib
import warnings

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.network import Network
from keras_locoprop.observed_graph import get_to_know
from keras_locoprop.observed_graph import is_built
from keras_locoprop.observed_graph import parts_to_build
from keras_locoprop.optimizer import LocoProp
from keras_locoprop.plan import check_is_model
from keras_locoprop.plan import make_plan
from keras_locoprop.sizes import first_input
from keras_locoprop.take_step import take_step


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
    backend.check_distribution(model)
    if not (was_called or is_built(model)):
        return None
    _check_not_float8(model)
    plan = make_plan(model, optimizer.variant, optimizer.exclude)
    if not plan.local_weights and plan.fallback_weights:
        warnings.warn(
            "No layer of this model has a local problem: all weights are "
            "trained by `fallback_optimizer`. See "
            f"`keras_locoprop.coverage(model)`:\n{plan.coverage}",
            stacklevel=2,
        )
    with backend.variable_scope(model):
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
    if find_locoprop(model.optimizer).state.needs_network:
        _check_loss_of_outputs(model)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    examples = _number_of_examples(x)
    get_to_know(model, x)

    def compute_loss():
        prediction = keras_private.call_model(model, x, training=True)
        loss = keras_private.compute_loss(
            model,
            x=x,
            y=y,
            y_pred=prediction,
            sample_weight=sample_weight,
            training=True,
        )
        keras_private.loss_tracker(model).update_state(
            loss, sample_weight=examples
        )
        return loss, prediction

    plan = prepare_optimizer(model, was_called=True)
    optimizer = find_locoprop(model.optimizer)
    network = None
    if optimizer.state.needs_network:
        network = Network(model, plan.local_layers, x, y, sample_weight)
    with _from_leading_weights(optimizer):
        _, prediction = take_step(
            model,
            optimizer,
            plan,
            compute_loss,
            examples,
            sample_weight,
            network,
            has_regularizers=True,
        )
    return model.compute_metrics(x, y, prediction, sample_weight=sample_weight)


def minimize(model, compute_loss, examples, sample_weight=None):
    """Takes one step of `LocoProp` on a loss of your own.

    For training loops of your own and for models that override `train_step`:
    it stands where a built-in optimizer has a gradient tape and
    `optimizer.apply`. On JAX a train step is stateless: there it is called
    within a `keras.StatelessScope` with the values that Keras hands to it, and
    the model is a `keras_locoprop.Model` or `keras_locoprop.Sequential`.

    Args:
        model: A built `keras.Model` that is compiled with `LocoProp`. Its
            trainable variables are trained.
        compute_loss: Callable without arguments. It calls the model, or the
            layers in it, and returns the loss: a scalar, the mean over the
            examples of the batch. Where it is traced, it may be called
            twice for that. Regularizers of layers
            with a local problem act by themselves; those of other weights
            only if `model.losses` is in it.
        examples: Integer or scalar tensor: the number of examples in the batch.
        sample_weight: The sample weights that the loss has in it, if any, as
            `fit` takes them: examples of weight zero are then left out of the
            local problems. Defaults to `None`.

    Returns:
        The loss before the step, a scalar tensor.

    Raises:
        ValueError: If `model` is not a `keras.Model`, is not built, is not
            compiled with `LocoProp`, or with `learning_rate="auto"` or
            `solver="exact"`, which work in `fit` alone; or trains other weights
            than the optimizer's state was made for; or calls a layer, that is
            not excluded, where it cannot be recorded.

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
            "it: call it once on a batch. A layer that no call uses has to be "
            f"left out. Received: model={model}, where "
            f"{[part.name for part in parts_to_build(model)]} are not built"
        )
    if optimizer.state.needs_network:
        raise ValueError(
            '`learning_rate="auto"` and `solver="exact"` need to know where '
            "the network ends and the loss begins: they work in `fit`, but not "
            f"with `minimize`. Received: {_needing_network(optimizer)}"
        )
    with _from_leading_weights(optimizer):
        loss, _ = take_step(
            model,
            optimizer,
            plan,
            lambda: (compute_loss(), None),
            examples,
            sample_weight,
        )
    return loss


def _from_leading_weights(optimizer):
    """The context of a step that has to go to the leading weights by itself.

    Where variables are in a scope, whose assignments are void if the step
    raises. Elsewhere `backend.train_function` goes to them around the step.
    """
    averaged_weights = optimizer.state.averaged_weights
    if keras_private.in_stateless_scope() and not averaged_weights.is_leading:
        return averaged_weights.leading_in_scope()
    return contextlib.nullcontext()


def _needing_network(optimizer):
    if optimizer.state.automatic_step is not None:
        return 'learning_rate="auto"'
    return f"solver={optimizer.solver!r}"


def _check_loss_of_outputs(model):
    own_loss = type(model).compute_loss is not keras.Model.compute_loss
    if model.loss is None and not own_loss:
        raise ValueError(
            '`loss` must be given to `compile` with `learning_rate="auto"` or '
            '`solver="exact"`, which go by its curvature in the outputs of the '
            "model: losses that layers add have none there. Give a `loss`, or "
            "take another learning rate. Received: loss=None"
        )


def _check_not_float8(model):
    for weight in model.trainable_variables:
        if getattr(weight, "overwrite_with_gradient", False):
            raise ValueError(
                "`model` must not train layers that are quantized to float8, "
                "whose scales have new values in place of gradients. Freeze "
                f"them, or take another optimizer. Received: {weight.path}"
            )


def _number_of_examples(x):
    first = first_input(x)
    examples = ops.shape(first)[0]
    if isinstance(examples, int) and examples == 0:
        raise ValueError(
            "`x` must hold at least one example. "
            f"Received: an input of shape {tuple(first.shape)}"
        )
    return examples
