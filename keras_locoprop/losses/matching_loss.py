"""What a matching loss is."""

import math

from keras import ops


class MatchingLoss:
    r"""The matching loss of an activation function.

    For an activation `f` that is the gradient of a convex potential `F`, the
    loss of a pre-activation `z` against a target `a`, summed over units, is

    `loss(z, a) = F(z) - a · z`, with gradient `f(z) - a`.

    Up to a constant that does not depend on `z`, it is the Bregman divergence
    between `z` and the pre-activation whose activation is `a`; it is convex in
    `z`. Only the gradient takes part in training; the potential serves to
    report how far a local problem was solved.

    Args:
        name: String. The name of the activation.
        activation: Callable `f`, applied to a tensor of pre-activations.
        potential: Callable `F` with `∇F = f`. Elementwise when `elementwise`
            is `True`; otherwise it maps `(..., units)` to `(...)`.
        elementwise: Boolean. Whether `f` acts on each unit by itself. Softmax
            does not. Defaults to `True`.

    Reference:
        Amid, Anil, Warmuth, [LocoProp: Enhancing BackProp via Local Loss
        Optimization](https://arxiv.org/abs/2106.06199), Section 3.
    """

    def __init__(self, name, activation, potential, elementwise=True):
        self.name = name
        self.activation = activation
        self.potential = potential
        self.elementwise = elementwise

    def value(self, preactivation, target):
        """Computes `F(z) - a · z` for each row.

        Args:
            preactivation: Tensor of shape `(..., units)`.
            target: Tensor of the same shape, in the space of activations.

        Returns:
            Tensor of shape `(...)`.
        """
        preactivation, target = map(
            ops.convert_to_tensor, (preactivation, target)
        )
        potential = self.potential(preactivation)
        if self.elementwise:
            potential = ops.sum(potential, axis=-1)
        return potential - ops.sum(target * preactivation, axis=-1)

    def gradient(self, preactivation, target):
        """Computes `f(z) - a`, of the shape of `preactivation`."""
        preactivation, target = map(
            ops.convert_to_tensor, (preactivation, target)
        )
        return self.activation(preactivation) - target

    def __repr__(self):
        return f"<MatchingLoss {self.name}>"


def check_is_gradient(activation, potential, elementwise):
    """Raises if `activation` is not the gradient of a convex `potential`.

    Both conditions are checked on a grid: finite differences of the potential
    against the activation, and that the activation never decreases along a
    line.
    """
    units = 1 if elementwise else 5
    # Incommensurate directions, and no grid point on the usual kinks.
    direction = ops.cos(ops.linspace(1.0, float(units), units))
    positions = ops.reshape(ops.linspace(-4.03, 4.01, 61), (-1, 1))
    half_width = 1e-2

    def along(function, offset):
        value = ops.convert_to_tensor(
            function((positions + offset) * direction + 0.1)
        )
        return value

    rows_and_units = (positions.shape[0], units)
    of_potential = rows_and_units if elementwise else rows_and_units[:1]
    for argument, function, shape in (
        ("activation", activation, rows_and_units),
        ("potential", potential, of_potential),
    ):
        received = tuple(along(function, 0.0).shape)
        if received != shape:
            raise ValueError(
                f"`{argument}` must map {rows_and_units} to {shape} with "
                f"`elementwise={elementwise}`. Received: {argument}="
                f"{function}, which maps it to {received}."
            )
    slope = ops.sum(along(activation, 0.0) * direction, axis=-1)
    rise = along(potential, half_width) - along(potential, -half_width)
    if elementwise:
        rise = ops.sum(rise, axis=-1)
    difference = rise / (2 * half_width)
    gap = float(ops.max(ops.abs(difference - slope) / (1.0 + ops.abs(slope))))
    # A kink inside one interval costs at most a quarter of its width times the
    # jump of the slope; a wrong potential is off by far more.
    if not math.isfinite(gap) or gap > 2e-2:
        raise ValueError(
            "`potential` must have `activation` as its gradient. Received: "
            f"activation={activation}, potential={potential}, whose finite "
            f"differences miss the activation by {gap:.2g}."
        )
    drop = float(ops.min(slope[1:] - slope[:-1]))
    if drop < -1e-5:
        raise ValueError(
            "`activation` must be non-decreasing: otherwise its matching loss "
            "is not convex, and the squared loss serves it better. Received: "
            f"activation={activation}, which falls by {-drop:.2g} between two "
            "points of a grid."
        )
