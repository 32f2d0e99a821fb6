"""Models that train by LocoProp: where optimizer, step and backend meet."""

import types

import keras

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.observed_graph import forget
from keras_locoprop.plan import check_is_model
from keras_locoprop.train_step import find_locoprop
from keras_locoprop.train_step import prepare_optimizer
from keras_locoprop.train_step import train_step
from keras_locoprop.validation import WRAPPERS


class LocoPropTraining:
    """Gives a `keras.Model` class LocoProp's train step.

    With any other optimizer the model trains as Keras does.
    """

    def train_step(self, *data):
        if find_locoprop(self.optimizer) is None:
            return super().train_step(*data)
        return backend.run_train_step(train_step, self, *data)

    def make_train_function(self, force=False):
        _make_train_function(self, super().make_train_function, force)

    def load_weights(self, filepath, *args, **kwargs):
        _divide_built_optimizer(self)
        return super().load_weights(filepath, *args, **kwargs)


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
        if cls is Model and keras_private.functional_init_arguments(
            args, kwargs
        ):
            cls = Functional
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args, **kwargs):
        # What a subclass is made with says nothing: what it hands on does.
        if keras_private.functional_init_arguments(args, kwargs):
            _make_functional(type(self))
        super().__init__(*args, **kwargs)


@keras.saving.register_keras_serializable("keras_locoprop")
class Functional(Model, keras_private.Functional):
    """What `Model(inputs, outputs)` makes."""


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

    def prepared_train_step(self, *data):
        if find_locoprop(self.optimizer) is None:
            return type(self).train_step(self, *data)
        return backend.run_train_step(train_step, self, *data)

    def make_train_function(self, force=False):
        of_class = types.MethodType(type(self).make_train_function, self)
        _make_train_function(self, of_class, force)

    def load_weights(self, filepath, *args, **kwargs):
        _divide_built_optimizer(self)
        return type(self).load_weights(self, filepath, *args, **kwargs)

    model.train_step = types.MethodType(prepared_train_step, model)
    model.make_train_function = types.MethodType(make_train_function, model)
    model.load_weights = types.MethodType(load_weights, model)
    # A step compiled earlier would go on being used.
    model.train_function = None
    return model


def _make_train_function(model, of_keras, force):
    if find_locoprop(model.optimizer) is None:
        _check_not_among_others(model.optimizer)
        of_keras(force)
        return
    before = model.train_function
    if before is None:
        forget(model)
    was_called = model.built and backend.builds_models_first()
    prepare_optimizer(model, was_called)
    of_keras(force)
    optimizer = find_locoprop(model.optimizer)
    if optimizer.use_ema:
        optimizer.state.first_step = int(optimizer.iterations)
    if model.train_function is not before:
        model.train_function = backend.train_function(
            model, model.train_function, optimizer.state.averaged_weights
        )


def _check_not_among_others(optimizer):
    """Raises if `LocoProp` is one of the optimizers in a `MultiOptimizer`."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    others = optimizer.optimizers if isinstance(optimizer, WRAPPERS) else ()
    if any(find_locoprop(other) is not None for other in others):
        raise ValueError(
            "`optimizer` must be `LocoProp` itself, whose `exclude` gives "
            "layers to its `fallback_optimizer`. Received: "
            f"optimizer={optimizer}, with `LocoProp` in it"
        )


def _make_functional(cls):
    """Makes `cls(inputs, outputs)` possible, as Keras does for `keras.Model`.

    A user's own subclass is made a subclass of `Functional` on its first use
    in this way; `Model` itself stays as it is.

    Returns:
        `cls`, or what stands for `Model` among the bases of others.
    """
    if cls is Model:
        return Functional
    if not issubclass(cls, Functional):
        cls.__bases__ = tuple(
            _make_functional(base) if issubclass(base, Model) else base
            for base in cls.__bases__
        )
    return cls


def _divide_built_optimizer(model):
    """Has the state of a built optimizer in place, for a file to fill.

    Keras's optimizers have theirs from `build` on. An optimizer that is not
    built is left so: it takes nothing from the file, as in Keras.
    """
    optimizer = getattr(model, "optimizer", None)
    locoprop = find_locoprop(optimizer)
    if locoprop is None or not optimizer.built:
        return
    if not locoprop.state.is_divided:
        prepare_optimizer(model)


def _check_train_step(model):
    if isinstance(model, LocoPropTraining):
        return
    if type(model).train_step is not keras.Model.train_step:
        raise ValueError(
            "`model` must not override `train_step`: LocoProp brings its own. "
            "Call `keras_locoprop.minimize` in it, and leave out `prepare`. "
            f"Received: model={model}, whose class {type(model).__name__} "
            "overrides it."
        )
