"""LocoProp: configuration, validation, state."""

import contextlib
import copy
import functools

import keras
from keras import ops

from keras_locoprop import keras_private
from keras_locoprop.configuration import AUTO
from keras_locoprop.configuration import default_inner_optimizer
from keras_locoprop.configuration import default_weight_averaging
from keras_locoprop.configuration import paper_arguments
from keras_locoprop.configuration import resolve_defaults
from keras_locoprop.configuration import with_python_numbers
from keras_locoprop.optimizer_state import make_state
from keras_locoprop.precision import full_precision
from keras_locoprop.solvers import WITHOUT_RATE
from keras_locoprop.validation import WRAPPERS
from keras_locoprop.validation import check_arguments
from keras_locoprop.validation import check_automatic
from keras_locoprop.validation import check_rate_is_constant
from keras_locoprop.validation import resolve_optimizer

_OF_SOLVER = (
    "inner_steps",
    "inner_batch_size",
    "inner_decay",
    "proximal",
    "learning_rate_scaling",
    "solver",
    "output_scaling",
    "damping",
    "curvature_period",
    "maximum_width",
)
_PLAIN_ARGUMENTS = (
    "activation_learning_rate",
    "variant",
    "gradient_scaling",
    "weight_averaging",
    "exclude",
    *_OF_SOLVER,
)
_FIXED_ARGUMENTS = (
    *_PLAIN_ARGUMENTS,
    "inner_optimizer",
    "fallback_optimizer",
)


@keras.saving.register_keras_serializable("keras_locoprop")
class LocoProp(keras.optimizers.Optimizer):
    r"""Optimizer that trains each layer on a local problem of its own.

    One forward and one backward pass per batch give, for every layer
    `z = xW + b`, `y = f(z)`, its inputs, its pre-activations and the gradient
    `g` of each example's loss at them. They set a target for the layer,

    - `a = f(z) - γ g` for LocoProp-M (`variant="matching"`), where the local
      loss is the matching loss of `f`, with gradient `xᵀ(f(z') - a)`;
    - `a = z - γ g` for LocoProp-S (`variant="squared"`), where it is
      `½‖z' - a‖²`;

    and `inner_steps` steps of a first-order optimizer bring the layer closer to
    it, all layers side by side. Together these steps act like a second-order
    update, without matrices of the size of a layer's curvature.

    The model has to be a `keras_locoprop.Model`, a `keras_locoprop.Sequential`,
    or a Keras model that went through `keras_locoprop.prepare`.

    Args:
        learning_rate: Float, a
            `keras.optimizers.schedules.LearningRateSchedule`, or a callable
            without arguments. The rate of the inner steps: step `k` of `T` uses
            `learning_rate · max(1 - k/T, inner_decay)`; what the solution is
            multiplied by where `solver` finds it without a rate.
            `"auto"`: no rate at all; the length of every step, and how much of
            the last one is in it, minimize a quadratic model of the training
            loss (see `AutomaticStep`).
            Defaults to `None`: the rate of `inner_optimizer`, which is `1e-3`
            if none is given; `1.0` for a solver without a rate.
        activation_learning_rate: Float γ: how far targets move along the
            gradient. Defaults to `0.005`.
        variant: `"matching"` or `"squared"`. Layers whose activation has no
            matching loss use the squared one. Defaults to `None`:
            `"matching"`, but for solvers that need the squared loss.
        gradient_scaling: `"relative"` divides `g` by its typical size, one
            number for the network and the batch: the median over layers that
            have a gradient of the root mean square of its mean over time steps
            or positions, and of that a running mean over batches. So γ does not
            depend on the scale of the loss; `"absolute"` is the paper's γ, per
            example. Defaults to `"relative"`.
        inner_steps: Integer `T`. Defaults to `3`.
        inner_batch_size: Integer, the examples that each inner step uses; steps
            take different ones in turn. `"all"`: every example in every step.
            `None`: `T / 2` slices, rounded up, so that the steps together pass
            over the batch about twice, but no slice below 128 examples.
            `solver="gram"` and `"conjugate_gradient"` use all, and take no
            integer. Defaults to `None`.
        inner_decay: Float in `[0, 1]`: the floor of the decay within one solve.
            Defaults to `0.25`.
        inner_optimizer: Any Keras optimizer: instance, config or name. It works
            on copies of its own; its slots persist from batch to batch.
            Defaults to `None`: `RMSprop(1e-3, rho=0.9, momentum=0.99)`.
        proximal: Float: the strength of the term `½ proximal ‖W - W_t‖²` that
            holds weights near where they were. Defaults to `0.0`.
        fallback_optimizer: Any Keras optimizer: instance, config or name. It
            trains the weights that have no local problem, from the same
            backward pass, at its own learning rate. Defaults to `"adam"`.
        exclude: List of layer names or regular expressions, matched against a
            layer's whole name or path, or that of a layer or model around it:
            layers that go to the fallback. Defaults to `None`.
        learning_rate_scaling: `"relative"` multiplies the rate of each layer by
            Glorot's standard deviation of its kernel,
            `sqrt(2 / (fan_in + fan_out))`, so that one rate moves wide and
            narrow layers by the same part of their weights; `"absolute"` uses
            the same rate everywhere. Defaults to `"relative"`.
        solver: How local problems are solved. `"iterative"`: the inner
            optimizer on rows of the batch. `"gram"`: the same on the Gram
            matrix of all rows, squared losses only; `"iterative"` takes it by
            itself with `inner_batch_size="all"` where it is cheaper. `"exact"`:
            the damped minimum in closed form, squared losses only.
            `"conjugate_gradient"`: `inner_steps` steps of it on the local
            quadratic model. Defaults to `None`: `"exact"` with
            `learning_rate="auto"`, otherwise `"iterative"`.
        output_scaling: For `solver="exact"`: `None`, `"unit"`, each unit's γ
            divided by the running mean of its `g²`, or `"full"`, the matrix.
            Defaults to `"auto"`: `"full"` with `learning_rate="auto"`,
            otherwise `None`.
        damping: Float: what is added to a layer's curvature before it is
            inverted: with `output_scaling` relative to the mean over layers;
            without it its square root is relative to the layer's own mean; with
            `solver="conjugate_gradient"` relative to the curvature along the
            layer's gradient. With `learning_rate="auto"` the least of it: it is
            adapted. Defaults to `0.05`.
        curvature_period: Integer, steps between two updates of what
            `solver="exact"` knows of the curvature, but for the first five,
            which all update it. A layer of which no row has counted yet waits
            for the next one. Defaults to `10`.
        maximum_width: Integer: layers with more inputs than this are solved by
            the inner optimizer, such with more units scaled by unit. Defaults
            to `4096`.
        weight_averaging: Float `m` in `[0, 1)`. In `fit` the model's weights
            are a running mean of those that steps are taken from, over about
            the last twentieth of all steps, and `1 / (1 - m)` steps at most
            (see `AveragedWeights`). The loss in the progress bar is that of the
            latter weights. Defaults to `None`: `0.98` with the default inner
            optimizer, whose momentum is heavy, and `0.0`, which is none, with
            one of your own, with `learning_rate="auto"`, with a solver without
            a rate and with `use_ema`.
        **kwargs: Keras's optimizer arguments: `weight_decay`, `clipnorm`,
            `clipvalue`, `global_clipnorm`, `use_ema`, `ema_momentum`,
            `ema_overwrite_frequency`, `loss_scale_factor`,
            `gradient_accumulation_steps`, `name`. What acts on gradients in a
            built-in optimizer, as clipping and accumulation, acts on the
            displacement of each weight over a step, and does not go with
            `"auto"`. A step of `weight_decay` is multiplied by `learning_rate`,
            as ever: by 1 with `"auto"` and solvers without a rate.

    Attributes:
        skipped_steps: `keras.Variable`, the number of batches whose loss or
            displacement was not finite. Such a batch changes nothing.

    Raises:
        ValueError: If an argument is out of its range.
        AttributeError: If one is set after the optimizer was made, but for
            `learning_rate`.

    Example:

    >>> import numpy as np
    >>> model = keras_locoprop.Sequential(
    ...     [
    ...         keras.layers.Dense(16, activation="tanh"),
    ...         keras.layers.Dense(1),
    ...     ]
    ... )
    >>> model.compile(optimizer=keras_locoprop.LocoProp(), loss="mse")
    >>> x = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> history = model.fit(x, x**2, epochs=2, verbose=0)
    >>> int(model.optimizer.iterations)
    4

    Reference:
        Amid, Anil, Warmuth, [LocoProp: Enhancing BackProp via Local Loss
        Optimization](https://arxiv.org/abs/2106.06199), AISTATS 2022.
    """

    def __init__(
        self,
        learning_rate=None,
        activation_learning_rate=0.005,
        variant=None,
        gradient_scaling="relative",
        inner_steps=3,
        inner_batch_size=None,
        inner_decay=0.25,
        inner_optimizer=None,
        proximal=0.0,
        fallback_optimizer="adam",
        exclude=None,
        learning_rate_scaling="relative",
        solver=None,
        output_scaling="auto",
        damping=0.05,
        curvature_period=10,
        maximum_width=4096,
        weight_averaging=None,
        **kwargs,
    ):
        is_automatic = isinstance(learning_rate, str) and learning_rate == AUTO
        variant, solver, output_scaling = resolve_defaults(
            is_automatic, variant, solver, output_scaling
        )
        if weight_averaging is None:
            weight_averaging = default_weight_averaging(
                is_automatic, solver, inner_optimizer, kwargs
            )
        own_arguments = {
            "learning_rate": learning_rate,
            "activation_learning_rate": activation_learning_rate,
            "variant": variant,
            "gradient_scaling": gradient_scaling,
            "inner_steps": inner_steps,
            "inner_batch_size": inner_batch_size,
            "inner_decay": inner_decay,
            "proximal": proximal,
            "exclude": exclude,
            "learning_rate_scaling": learning_rate_scaling,
            "solver": solver,
            "output_scaling": output_scaling,
            "damping": damping,
            "curvature_period": curvature_period,
            "maximum_width": maximum_width,
            "weight_averaging": weight_averaging,
        }
        own_arguments = with_python_numbers(own_arguments)
        check_arguments(own_arguments)
        learning_rate = own_arguments["learning_rate"]
        unusable = (LocoProp, *WRAPPERS)
        inner = resolve_optimizer(
            "inner_optimizer",
            inner_optimizer or default_inner_optimizer(),
            unusable,
        )
        check_rate_is_constant("inner_optimizer", inner, is_automatic, solver)
        fallback = resolve_optimizer(
            "fallback_optimizer", fallback_optimizer, unusable
        )
        if is_automatic:
            check_automatic(kwargs)
        if is_automatic or (learning_rate is None and solver in WITHOUT_RATE):
            learning_rate = 1.0
        if learning_rate is None:
            learning_rate = inner.get_config()["learning_rate"]
        if isinstance(learning_rate, dict):
            learning_rate = keras.saving.deserialize_keras_object(learning_rate)
        if isinstance(learning_rate, int):
            learning_rate = float(learning_rate)
        kwargs = with_python_numbers(kwargs)
        super().__init__(learning_rate=learning_rate, **kwargs)
        for name in _PLAIN_ARGUMENTS:
            setattr(self, name, own_arguments[name])
        self.exclude = None if exclude is None else list(exclude)
        self.skipped_steps = self.add_variable(
            shape=(), dtype="int", name="skipped_steps"
        )
        self.gradient_size = self.add_variable(
            shape=(),
            dtype=full_precision(),
            name="gradient_size",
        )
        self._state = make_state(
            inner,
            fallback,
            {name: own_arguments[name] for name in _OF_SOLVER},
            is_automatic,
            weight_averaging,
            track=functools.partial(keras_private.track_variable, self),
        )

    def __setattr__(self, name, value):
        if name in _FIXED_ARGUMENTS and hasattr(self, "_state"):
            raise AttributeError(
                f"`{name}` must be given to `LocoProp` when it is made: its "
                "solvers and compiled steps have the value that it had then. "
                f"Received: {name}={value!r}"
            )
        super().__setattr__(name, value)

    @classmethod
    def paper(cls, **arguments):
        """The settings of the paper's experiments.

        LocoProp-M with `γ = 0.01` per example, absolute, ten inner steps on all
        rows by RMSprop with a rate of `1e-5` and a momentum of `0.999`. They
        suit losses of the size of theirs: summed over the pixels of an image.

        Args:
            **arguments: Arguments of `LocoProp` that are to differ.

        Returns:
            A `LocoProp`.

        Example:

        >>> optimizer = keras_locoprop.LocoProp.paper(variant="squared")
        >>> optimizer.inner_steps
        10

        Reference:
            Amid, Anil, Warmuth, [LocoProp](https://arxiv.org/abs/2106.06199),
            Section 5, and its published code.
        """
        return cls(**paper_arguments() | arguments)

    def attach(self, plan):
        """Tells the optimizer which weights have local problems.

        The train step calls this before the first batch. It may be called again
        with a plan that trains fewer weights.

        Args:
            plan: `plan.Plan` of the model.

        Raises:
            ValueError: If the optimizer's state was made for another division
                of the weights.
        """
        self._state.attach(plan)

    def build(self, variables):
        """Creates the optimizer's state for a model's trainable variables."""
        if self.built:
            return
        super().build(variables)
        self._state.build(list(variables))

    @property
    def solver_variables(self):
        """The part of the state that a solve changes."""
        return [self.gradient_size, *self._state.variables]

    @property
    def volatile_variables(self):
        """The part of it that must be looked at for numbers not finite."""
        return [self.gradient_size, *self._state.solver.volatile_variables]

    @property
    def state(self):
        """The `OptimizerState`: the solvers and what they remember."""
        return self._state

    @property
    def solver_learning_rate(self):
        """The learning rate that the solver is given."""
        if self._state.inner_learning_rate is not None:
            return self._state.inner_learning_rate
        return self.learning_rate

    @property
    def observers(self):
        """List of callables that are shown local problems and displacements.

        Called as `observer(problems, displacements)` in every step, as it is
        compiled; the displacements are aligned with the problems' weights.
        """
        return self._state.observers

    @contextlib.contextmanager
    def accepting_displacements(self):
        """Within it, `apply` takes displacements in place of gradients."""
        self._state.accepts_displacements = True
        try:
            yield
        finally:
            self._state.accepts_displacements = False

    def apply(self, grads, trainable_variables=None):
        if not self._state.accepts_displacements:
            raise ValueError(
                "`LocoProp` trains by layers' inputs and pre-activations, "
                "which this model's train step does not hand to it. Call "
                "`keras_locoprop.prepare(model)` before `model.fit`, or build "
                "the model as a `keras_locoprop.Model` or "
                "`keras_locoprop.Sequential`. A training loop or a "
                "`train_step` of your own calls `keras_locoprop.minimize`. A "
                "`MultiOptimizer` cannot hold it."
            )
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        """Subtracts a displacement, which has its learning rate in it."""
        del learning_rate
        self.assign_sub(variable, ops.cast(gradient, variable.dtype))

    def finalize_variable_values(self, var_list):
        # Where no step was taken averages are zeros, or of other weights that
        # there were before. Keras goes by positions, which are others where a
        # layer has been frozen since.
        if not (self.use_ema and self._state.is_divided):
            return
        if int(self.iterations) == self._state.first_step:
            return
        averages = keras_private.averages_of_weights(self)
        for variable in var_list:
            if id(variable) in averages:
                # A copy, as on JAX both would be the same array: `evaluate`,
                # which gives a model's arrays away to its steps, takes both.
                variable.assign(ops.copy(averages[id(variable)]))

    def set_weights(self, weights):
        if self.built and len(weights) > len(self.variables):
            raise ValueError(
                "`set_weights` must be called after the optimizer has met its "
                "model: call `model.make_train_function()` first. Received: "
                f"{len(weights)} weights, for {len(self.variables)} variables."
            )
        super().set_weights(weights)

    def get_config(self):
        # Copies, for the caller may change what is in them.
        own_config = {
            **{name: getattr(self, name) for name in _PLAIN_ARGUMENTS},
            # Keras's own list would take the optimizer's state along.
            "exclude": None if self.exclude is None else list(self.exclude),
            "inner_optimizer": self._state.inner_config,
            "fallback_optimizer": self._state.fallback_config,
            "local_weights": self._state.local_indices,
            "matrices": self._state.matrices,
            "trainable_weights": self._state.weight_shapes,
        }
        if self._state.automatic_step is not None:
            own_config["learning_rate"] = AUTO
        return super().get_config() | copy.deepcopy(own_config)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        local_indices = config.pop("local_weights", None)
        weight_shapes = config.pop("trainable_weights", None)
        matrices = config.pop("matrices", None)
        optimizer = super().from_config(config, custom_objects)
        optimizer._state.local_indices = local_indices
        optimizer._state.weight_shapes = weight_shapes
        optimizer._state.matrices = matrices
        return optimizer
