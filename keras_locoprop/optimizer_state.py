"""What LocoProp remembers from batch to batch."""

import keras
from keras import ops

from keras_locoprop import keras_private
from keras_locoprop.automatic_step import AutomaticStep
from keras_locoprop.averaged_weights import AveragedWeights
from keras_locoprop.solvers import WITHOUT_RATE
from keras_locoprop.solvers import FallbackSolver
from keras_locoprop.solvers import make_solver


def make_state(
    inner, fallback, arguments, is_automatic, weight_averaging, track
):
    """Makes the solvers that the arguments of `LocoProp` ask for.

    Args:
        inner: The inner optimizer.
        fallback: The fallback optimizer.
        arguments: Dict of LocoProp's arguments that its solvers take.
        is_automatic: Boolean: whether the learning rate is `"auto"`.
        weight_averaging: Float, as in `LocoProp`.
        track: Callable that is given each variable of the state.

    Returns:
        `OptimizerState`.
    """
    arguments = dict(arguments)
    name = arguments.pop("solver")
    damping = arguments.pop("damping")
    automatic_step = AutomaticStep(damping) if is_automatic else None
    inner_rate = float(ops.convert_to_numpy(inner.learning_rate))
    curvature_arguments = {
        "inner_learning_rate": inner_rate,
        "output_scaling": arguments.pop("output_scaling"),
        "damping": automatic_step.damping if is_automatic else damping,
        "period": arguments.pop("curvature_period"),
        "maximum_width": arguments.pop("maximum_width"),
    }
    takes_rate = is_automatic and name not in WITHOUT_RATE
    return OptimizerState(
        inner_config=keras.optimizers.serialize(inner),
        fallback_config=keras.optimizers.serialize(fallback),
        solver=make_solver(
            name, {"inner_optimizer": inner, **arguments}, curvature_arguments
        ),
        fallback=FallbackSolver(fallback),
        automatic_step=automatic_step,
        averaged_weights=AveragedWeights(weight_averaging),
        inner_learning_rate=inner_rate if takes_rate else None,
        track=track,
    )


class OptimizerState:
    """The solvers and their division of the weights.

    Kept in one plain object, so that Keras, which tracks variables and lists
    that are attributes of an optimizer, leaves the order of the state to us:
    `track` gets each variable of the solvers, once they exist.
    """

    def __init__(
        self,
        inner_config,
        fallback_config,
        solver,
        fallback,
        automatic_step,
        averaged_weights,
        inner_learning_rate,
        track,
    ):
        self.inner_config = inner_config
        self.fallback_config = fallback_config
        self.solver = solver
        self.fallback = fallback
        self.automatic_step = automatic_step
        self.averaged_weights = averaged_weights
        self.inner_learning_rate = inner_learning_rate
        # Draws the gradients that curvature is made of.
        self.seed = keras.random.SeedGenerator(0)
        self._track = track
        self.accepts_displacements = False
        self.observers = []
        # Positions among the trainable variables, and the shapes of those. They
        # are saved with the configuration: a loaded optimizer is built, and its
        # state restored, before it meets the model.
        self.local_indices = None
        self.weight_shapes = None
        # Likewise of layers that multiply by a matrix, with its shape.
        self.matrices = None
        self._plan_matrices = None
        self._local_ids = None
        self._weights = None
        self._solvers_built = False
        # At which the present call of `fit` began.
        self.first_step = 0

    def attach(self, plan):
        local_ids = {id(weight) for weight in plan.local_weights}
        if self._weights is not None:
            self._check_division(plan, local_ids)
        if not self._solvers_built:
            self._local_ids = local_ids
            self._plan_matrices = plan.matrices
            self._build_solvers()

    def _check_division(self, plan, local_ids):
        """Raises if the plan has other weights, or divides them otherwise."""
        known = {
            id(weight): i in self.local_indices
            if self._solvers_built
            else id(weight) in local_ids
            for i, weight in enumerate(self._weights)
        }
        trained = plan.local_weights + plan.fallback_weights
        for weight in trained:
            if known.get(id(weight)) != (id(weight) in local_ids):
                raise ValueError(
                    "`optimizer` must be new where a model trains other "
                    "weights than the one that it was built for, or a weight "
                    "that was frozen then, or one that has changed between "
                    "local problem and fallback. Create a new `LocoProp` and "
                    f"compile with it. Received: {weight.path} is such a "
                    f"weight, of {len(trained)}."
                )
        if self._solvers_built and self.needs_curvature:
            self._check_frozen_together(set(map(id, trained)))

    def _check_frozen_together(self, trained_ids):
        """Raises if a part of a closed problem's weights is not trained."""
        for indices, _ in self.matrices or ():
            group = [
                self._weights[i]
                for i in indices
                if id(self._weights[i]) in self.solver.weight_ids
            ]
            frozen = [w for w in group if id(w) not in trained_ids]
            if frozen and len(frozen) < len(group):
                raise ValueError(
                    "`trainable` must be the same for a kernel and its bias "
                    "where their problem is solved in closed form. Freeze or "
                    "train both, or create a new `LocoProp` and compile with "
                    "it. Received: of "
                    f"{[weight.path for weight in group]} the model trains all "
                    f"but {[weight.path for weight in frozen]}."
                )

    def build(self, weights):
        shapes = [list(weight.shape) for weight in weights]
        # Files of version 0.1.0 have their number only.
        if self.weight_shapes not in (None, shapes, len(shapes)):
            # The configuration comes from the optimizer of another model.
            self.local_indices = self.matrices = None
        self._weights = weights
        self.weight_shapes = shapes
        self._build_solvers()

    def _build_solvers(self):
        if self._weights is None or self._solvers_built:
            return
        if self._local_ids is not None:
            self.local_indices = [
                i
                for i, weight in enumerate(self._weights)
                if id(weight) in self._local_ids
            ]
            position = {id(w): i for i, w in enumerate(self._weights)}
            self.matrices = [
                [[position[id(w)] for w in matrix.weights], list(matrix.shape)]
                for matrix in self._plan_matrices
            ]
        if self.local_indices is None:
            return
        if keras_private.in_stateless_scope():
            raise ValueError(
                "`model` must be a `keras_locoprop.Model` or "
                "`keras_locoprop.Sequential` where its train step is "
                "stateless: the optimizer's state has to exist before the "
                "first step. Received: a model of another class."
            )
        local = set(self.local_indices)
        self.solver.build(
            [w for i, w in enumerate(self._weights) if i in local],
            [
                ([self._weights[i] for i in indices], tuple(shape))
                for indices, shape in self.matrices or ()
            ],
        )
        if self.automatic_step is not None:
            self.automatic_step.build(self._weights)
        self.fallback.build(
            [w for i, w in enumerate(self._weights) if i not in local]
        )
        self.averaged_weights.build(self._weights)
        self._solvers_built = True
        # Whatever saves or restores an optimizer goes by what Keras tracks.
        for variable in self.variables + self.averaged_weights.variables:
            self._track(variable)

    @property
    def is_divided(self):
        """Whether the solvers have their weights, and state for them."""
        return self._solvers_built

    @property
    def variables(self):
        """What a solve changes."""
        if not self._solvers_built:
            return []
        variables = self.solver.variables + self.fallback.variables
        if self.automatic_step is not None:
            variables += self.automatic_step.variables
        if self.needs_curvature:
            variables.append(self.seed.state)
        return variables

    @property
    def needs_network(self):
        """Whether the model is needed, beyond its records and gradients."""
        return self.needs_curvature or self.automatic_step is not None

    @property
    def needs_curvature(self):
        """Whether the solver averages moments of the batches."""
        return hasattr(self.solver, "is_due")
