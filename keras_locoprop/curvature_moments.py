"""Second moments of a batch, for the factors of each layer's curvature."""

import functools

from keras import ops

from keras_locoprop import backend
from keras_locoprop.counted_rows import counted_rows
from keras_locoprop.counted_rows import doubted_examples
from keras_locoprop.layers import layer_kind_of
from keras_locoprop.output_curvature import sampled_gradients
from keras_locoprop.precision import in_full_precision
from keras_locoprop.sizes import larger
from keras_locoprop.sizes import smaller

# Rows of one call that its moments are taken from. The patches of a
# convolution's inputs are as many as its outputs, and each is a copy.
MAXIMUM_ROWS = 16_384


def update_moments(solver, network, matrices, seed):
    """Has a solver average in the moments of a batch.

    The gradients are drawn such that their second moments are the curvature of
    the training loss; see `sampled_gradients`.

    Args:
        solver: `ExactSolver`.
        network: `Network`.
        matrices: List of `local_layers.Matrix`.
        seed: `keras.random.SeedGenerator`.
    """

    def forward():
        points, records, loss = network.forward()
        return (
            [point.value for point in points],
            [record.preactivation for record in records],
            (points, records, loss),
        )

    def cotangents(kept):
        points, _, loss = kept
        of_points = functools.partial(loss, points)
        return sampled_gradients(of_points, points, network.examples, seed)

    (_, records, _), gradients = backend.pulled_back(forward, cotangents)
    solver.begin_update(network.examples)
    doubted = doubted_examples(records, network.sample_weight)
    for matrix in matrices:
        calls = [
            _rows_of_call(
                record,
                in_full_precision(_or_zeros(gradient, record)),
                doubted,
                network.examples,
            )
            for record, gradient in zip(records, gradients)
            if record.layer is matrix.layer
        ]
        if calls:
            solver.average(matrix.weights[0], calls)
    solver.refresh()


def _or_zeros(gradient, record):
    """What no output depends on, as a loss that a layer adds, has none."""
    if gradient is None:
        return ops.zeros_like(record.preactivation)
    return gradient


def _rows_of_call(record, gradient, doubted, examples):
    """Tuple `(inputs, gradients, counts, examples)` of one call."""
    kind, layer = layer_kind_of(record.layer), record.layer
    counts = counted_rows(record, gradient, doubted)
    counts = (
        ops.ones_like(gradient)
        if counts is None
        else ops.cast(counts, gradient.dtype) * ops.ones_like(gradient)
    )
    units = kind.unit_axes(layer, gradient)
    # A layer may work on parts of examples, or on some of them alone.
    parts = _parts_within(gradient, units)
    inputs = in_full_precision(record.inputs)[:parts]
    rows = kind.output_rows(layer, gradient[:parts])
    counts = kind.output_rows(layer, counts[:parts])[:, :1]
    examples = parts * examples / larger(ops.shape(gradient)[0], 1)
    return kind.input_rows(layer, inputs), rows, counts, examples


def _parts_within(gradient, units):
    parts = ops.shape(gradient)[0]
    rows = 1
    for axis in range(1, gradient.ndim):
        if axis not in units:
            rows = rows * ops.shape(gradient)[axis]
    return smaller(parts, larger(MAXIMUM_ROWS // rows, 1))
