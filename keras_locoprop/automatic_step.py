"""How far to go, from the quadratic model of the whole network."""

import functools

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop.output_curvature import gauss_newton_products
from keras_locoprop.precision import full_precision
from keras_locoprop.quadratic_model import adapted_damping
from keras_locoprop.quadratic_model import decrease_of_model
from keras_locoprop.quadratic_model import is_harmful
from keras_locoprop.quadratic_model import minimizer_with_less_of_last
from keras_locoprop.solvers import at_displaced_weights

INITIAL_DAMPING = 1.0
DAMPING_CEILING = 1e4
# The model is of one batch, and takes the noise of that batch for curvature and
# slope. Along the last step, which sums up many batches, it asks for too much:
# of a batch of so many examples half of that is taken. Measured on an
# autoencoder and a classifier, see benchmarks/NOTES.md.
EXAMPLES_FOR_HALF_THE_MOMENTUM = 400
ADAPTATION_PERIOD = 5
ADAPTATION_FACTOR = 0.95**ADAPTATION_PERIOD
FACTOR_AFTER_HARM = 4.0


class AutomaticStep:
    r"""Combines directions and the last step into the next one.

    The step `Σ αᵢ Dᵢ + β M` minimizes the quadratic model of the training loss,

    `L(θ - d) ≈ L - ∇L · d + ½ d · (F + λ I) d`,

    with the Gauss-Newton matrix `F` of (a part of) the batch. `M` is the last
    step that was taken; there is one direction for each group of weights whose
    displacements differ in kind: those of exact solutions, of other local
    problems, of the fallback. `β` is `B / (B + 400)` of what it is in the
    minimum, for a batch of `B` examples, and the `αᵢ` are the best ones for
    that: the smaller the batch, the more of the last step is noise. Every 5
    steps damping is adapted to how well the model foretold the loss. A step
    that raises the loss of the very examples that `F` is of (by more than a
    thousandth, which may be rounding) is not taken, and
    damping is multiplied by 4; weight decay and averages of weights go on. Down
    to its first value it is divided by 4 where the model is right.

    Args:
        floor: Float, the least damping, relative to the mean curvature.

    Reference:
        Martens, Grosse, [Optimizing Neural Networks with Kronecker-factored
        Approximate Curvature](https://arxiv.org/abs/1503.05671), Sections 6.4
        to 7.
    """

    def __init__(self, floor):
        self.floor = floor
        self.damping = keras.Variable(
            INITIAL_DAMPING,
            dtype=full_precision(),
            trainable=False,
            name="damping",
        )
        self._last = {}

    def build(self, weights):
        self._last = {
            id(weight): keras.Variable(
                ops.zeros(weight.shape, weight.dtype),
                trainable=False,
                name=f"{weight.path.replace('/', '_')}_last_displacement",
            )
            for weight in weights
        }

    @property
    def variables(self):
        if not self._last:
            return []
        return [self.damping, *self._last.values()]

    def combine(
        self,
        network,
        weights,
        groups,
        gradients,
        loss,
        curvature_size,
        step,
        rate,
    ):
        """Computes the displacement of each weight.

        Args:
            network: `Network`.
            weights: List of `keras.Variable`s.
            groups: List of directions, each a list of tensors aligned with
                `weights`, or `None` for weights that it leaves alone.
            gradients: List of tensors, likewise: of the training loss.
            loss: Scalar tensor, the training loss.
            curvature_size: Scalar tensor: what damping is relative to; zero if
                that is not known.
            step: Scalar tensor, the number of steps before.
            rate: Scalar tensor, what the best step is multiplied by.

        Returns:
            List of tensors.
        """
        last = [ops.convert_to_tensor(self._last[id(w)]) for w in weights]
        directions = [*groups, last]
        dtype = self.damping.dtype
        slopes = ops.stack(
            [_dot(direction, gradients, dtype) for direction in directions]
        )
        part = network.on_rows(network.rows_for_curvature())
        curvatures, loss_of_part = self._curvatures(
            part, weights, directions, dtype
        )
        squares = _pairs(directions, lambda one, other: _dot(one, other, dtype))
        steepness = ops.diagonal(curvatures)[0] / ops.maximum(
            ops.diagonal(squares)[0], 1e-30
        )
        curvature_size = ops.cast(curvature_size, dtype)
        size = ops.where(curvature_size > 0, curvature_size, steepness)
        curvatures = curvatures + self.damping * size * squares
        examples = ops.cast(network.examples, dtype)
        coefficients = ops.cast(rate, dtype) * minimizer_with_less_of_last(
            slopes,
            curvatures,
            examples / (examples + EXAMPLES_FOR_HALF_THE_MOMENTUM),
        )
        decrease = decrease_of_model(coefficients, slopes, curvatures)
        displacements = _combined(directions, coefficients)
        with at_displaced_weights(weights, displacements):
            rise = ops.cast(part.loss(), dtype) - loss_of_part
        harmful = is_harmful(rise, loss_of_part)
        # NaN times zero is NaN: such a batch is still skipped, and counted.
        share_taken = ops.where(harmful, 0.0, 1.0)
        displacements = [
            ops.cast(share_taken, displacement.dtype) * displacement
            for displacement in displacements
        ]
        for weight, before, displacement in zip(weights, last, displacements):
            self._last[id(weight)].assign(
                ops.where(harmful, before, displacement)
            )

        def adapt():
            with at_displaced_weights(weights, displacements):
                actual = ops.cast(loss, dtype) - ops.cast(network.loss(), dtype)
            # Of next to nothing the ratio is all rounding.
            ratio = ops.where(decrease > 0, actual / decrease, 0.0)
            damping = ops.convert_to_tensor(self.damping)
            self.damping.assign(
                adapted_damping(
                    damping,
                    ratio,
                    _less(damping),
                    damping / ADAPTATION_FACTOR,
                    self.floor,
                    DAMPING_CEILING,
                )
            )

        def increase():
            self.damping.assign(
                ops.minimum(FACTOR_AFTER_HARM * self.damping, DAMPING_CEILING)
            )

        is_due = ops.logical_and(
            step % ADAPTATION_PERIOD == 0, ops.logical_not(harmful)
        )
        backend.cond(harmful, increase, lambda: None)
        backend.cond(is_due, adapt, lambda: None)
        return displacements

    def _curvatures(self, network, weights, directions, dtype):
        """All `Dᵢ · F Dⱼ`, and the loss."""

        def forward():
            points, _, loss = network.forward()
            values = [point.value for point in points]
            # Here, where the losses are known that layers add by themselves.
            return values, (points, loss, loss(points, values))

        outputs, (points, loss, value), products = backend.jacobian_products(
            forward, weights, directions
        )
        curved = gauss_newton_products(
            functools.partial(loss, points),
            outputs,
            products,
            [1 if point.is_sum else network.examples for point in points],
        )
        curvatures = _pairs(
            list(zip(products, curved)),
            lambda one, other: _dot(one[0], other[1], dtype),
        )
        return curvatures, ops.cast(ops.stop_gradient(value), dtype)


def _less(damping):
    """What damping becomes where the model is right."""
    less = ADAPTATION_FACTOR * damping
    # What refused steps have added would take long to fall.
    back = ops.maximum(
        damping / FACTOR_AFTER_HARM, ops.minimum(less, INITIAL_DAMPING)
    )
    return ops.where(damping > INITIAL_DAMPING, back, less)


def _combined(directions, coefficients):
    return [
        sum(
            ops.cast(coefficients[i], part.dtype) * part
            for i, part in enumerate(parts)
            if part is not None
        )
        for parts in zip(*directions)
    ]


def _pairs(items, product):
    """The symmetric matrix of products of all pairs."""
    size = len(items)
    entries = {
        (i, j): product(items[i], items[j])
        for i in range(size)
        for j in range(i, size)
    }
    return ops.stack(
        [
            ops.stack([entries[min(i, j), max(i, j)] for j in range(size)])
            for i in range(size)
        ]
    )


def _dot(one, other, dtype):
    terms = [
        ops.sum(ops.cast(a, dtype) * ops.cast(b, dtype))
        for a, b in zip(one, other)
        if a is not None and b is not None
    ]
    return sum(terms) if terms else ops.zeros((), dtype)
