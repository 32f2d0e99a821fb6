"""Models that train by LocoProp: where optimizer, step and backend meet."""

import types
import warnings

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop import step
from keras_locoprop.coverage import check_is_model
from keras_locoprop.coverage import make_plan
from keras_locoprop.optimizer import LocoProp
from keras_locoprop.tap import recording


class LocoPropTraining:
    """Gives a `keras.Model` class LocoProp's train step.

    With any other optimizer the model trains as Keras does.
    """

    def train_step(self, data):
        if find_locoprop(self.optimizer) is None:
            return super().train_step(data)
        return train_step(self, data)

    def make_train_function(self, force=False):
        prepare_optimizer(self)
        return super().make_train_function(force)


@keras.saving.register_keras_serializable("keras_locoprop")
class Model(LocoPropTraining, keras.Model):
    """Drop-in replacement for `keras.Model` that trains by `LocoProp`.

    It is used in the same ways: `Model(inputs, outputs)`, or as a base class
    with a `call` method. Compiled with any optimizer but `LocoProp` it behaves
    as `keras.Model` does.

    Example:

    >>> inputs = keras.Input((4,))
    >>> hidden = keras.layers.Dense(8, activation="relu")(inputs)
    >>> outputs = keras.layers.Dense(3, activation="softmax")(hidden)
    >>> model = keras_locoprop.Model(inputs, outputs)
    >>> model.compile(
    ...     optimizer=keras_locoprop.LocoProp(),
    ...     loss="sparse_categorical_crossentropy",
    ... )
    """

    def __new__(cls, *args, **kwargs):
        if keras_private.functional_init_arguments(args, kwargs):
            cls = _functional_class(cls)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


@keras.saving.register_keras_serializable("keras_locoprop")
class Functional(Model, keras_private.Functional):
    """What `Model(inputs, outputs)` makes."""

    def __init__(self, inputs, outputs, name=None, **kwargs):
        keras_private.Functional.__init__(
            self, inputs, outputs, name=name, **kwargs
        )


@keras.saving.register_keras_serializable("keras_locoprop")
class Sequential(LocoPropTraining, keras.Sequential):
    """Drop-in replacement for `keras.Sequential` that trains by `LocoProp`.

    Compiled with any optimizer but `LocoProp` it behaves as `keras.Sequential`
    does.

    Example:

    >>> model = keras_locoprop.Sequential(
    ...     [
    ...         keras.Input((4,)),
    ...         keras.layers.Dense(8, activation="relu"),
    ...         keras.layers.Dense(1),
    ...     ]
    ... )
    >>> model.compile(optimizer=keras_locoprop.LocoProp(), loss="mse")
    """


def prepare(model):
    """Gives an existing Keras model LocoProp's train step, in place.

    Only this instance is changed: what is saved, cloned or exported from it is
    the stock model. A model that was loaded has to be prepared again; the
    optimizer's state comes with it.

    Args:
        model: A `keras.Model` of any kind, compiled or not, that does not
            override `train_step`.

    Returns:
        The model.

    Raises:
        ValueError: If `model` is not a `keras.Model`, or its class overrides
            `train_step`.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> model = keras_locoprop.prepare(model)
    >>> model.compile(optimizer=keras_locoprop.LocoProp(), loss="mse")
    """
    check_is_model(model)
    _check_train_step(model)
    if isinstance(model, LocoPropTraining):
        return model

    def prepared_train_step(self, data):
        if find_locoprop(self.optimizer) is None:
            return type(self).train_step(self, data)
        return train_step(self, data)

    def make_train_function(self, force=False):
        prepare_optimizer(self)
        return type(self).make_train_function(self, force)

    model.train_step = types.MethodType(prepared_train_step, model)
    model.make_train_function = types.MethodType(make_train_function, model)
    # A step compiled earlier would go on being used.
    model.train_function = None
    return model


def find_locoprop(optimizer):
    """The `LocoProp` in an optimizer, itself or under loss scaling; or `None`."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer if isinstance(optimizer, LocoProp) else None


def prepare_optimizer(model):
    """Divides the weights of a model among the solvers of its optimizer.

    Returns:
        The `coverage.Plan`; `None` if the model is not built yet, or is not
        compiled with `LocoProp`.
    """
    optimizer = find_locoprop(model.optimizer)
    if optimizer is None:
        return None
    _check_train_step(model)
    if backend.replicas() > 1:
        raise ValueError(
            "`LocoProp` trains on one device at a time. Received: a "
            f"distribution strategy with {backend.replicas()} replicas."
        )
    if not _is_built(model):
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
    plan = prepare_optimizer(model)
    optimizer = find_locoprop(model.optimizer)
    state = model.non_trainable_variables + optimizer.solver_variables
    before = [backend.snapshot(variable) for variable in state]
    result = types.SimpleNamespace()

    def forward():
        result.prediction = keras_private.call_model(model, x, training=True)
        result.loss = keras_private.compute_loss(
            model,
            x=x,
            y=y,
            y_pred=result.prediction,
            sample_weight=sample_weight,
            training=True,
        )
        keras_private.loss_tracker(model).update_state(
            result.loss, sample_weight=examples
        )
        return model.optimizer.scale_loss(result.loss)

    with recording(local.layer for local in plan.local_layers) as records:
        record_gradients, weight_gradients = backend.differentiate(
            forward,
            lambda: [record.preactivation for record in records],
            plan.fallback_weights,
        )
    loss_scale = model.optimizer.scale_loss(ops.ones(()))
    weights, displacements = step.displacements(
        optimizer,
        plan,
        records,
        _divided(record_gradients, loss_scale),
        _divided(weight_gradients, loss_scale),
        examples,
    )

    def apply(displacements):
        with optimizer.accepting_displacements():
            # Keras divides by the loss scale what it takes for gradients.
            model.optimizer.apply(
                [d * ops.cast(loss_scale, d.dtype) for d in displacements],
                weights,
            )

    def skip():
        for variable, value in zip(state, before):
            variable.assign(value)
        optimizer.skipped_steps.assign_add(1)
        if model.optimizer is not optimizer:
            # A loss-scaling optimizer has to see the overflow to react to it.
            apply([d * float("nan") for d in displacements])

    finite = _all_finite(
        [result.loss, *displacements, *optimizer.solver_variables]
    )
    ops.cond(finite, lambda: apply(displacements), skip)
    return model.compute_metrics(
        x, y, result.prediction, sample_weight=sample_weight
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
    return model.built and all(
        layer.built for layer in keras_private.all_sublayers(model)
    )


def _divided(gradients, scale):
    return [
        None if gradient is None else gradient / ops.cast(scale, gradient.dtype)
        for gradient in gradients
    ]


def _all_finite(tensors):
    # A sum is finite only if all of its terms are, and takes one pass.
    sums = [
        ops.cast(ops.sum(tensor), "float32")
        for tensor in tensors
        if keras.backend.is_float_dtype(tensor.dtype)
    ]
    return ops.all(ops.isfinite(ops.stack(sums)))


def _check_train_step(model):
    prepared_by_class = isinstance(model, LocoPropTraining)
    expected = LocoPropTraining if prepared_by_class else keras.Model
    if type(model).train_step is not expected.train_step:
        raise ValueError(
            "`model` must not override `train_step`: LocoProp brings its own. "
            f"Received: model={model}, whose class {type(model).__name__} "
            "overrides it."
        )


def _functional_class(cls):
    """The class of `cls(inputs, outputs)`, as Keras has it for `keras.Model`.

    A user's own subclass is made a subclass of `Functional` on its first use
    in this way, as Keras does; `Model` itself stays as it is.
    """
    if cls is Model:
        return Functional
    if not issubclass(cls, Functional):
        cls.__bases__ = tuple(
            _functional_class(base) if issubclass(base, Model) else base
            for base in cls.__bases__
        )
    return cls
