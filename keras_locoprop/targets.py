"""Where each layer's output should go: the targets of the local problems."""

import math
from typing import Any
from typing import NamedTuple

from keras import ops

from keras_locoprop.layers import layer_kind_of
from keras_locoprop.local_problem import Call
from keras_locoprop.local_problem import LocalProblem
from keras_locoprop.precision import in_full_precision
from keras_locoprop.sizes import larger

# What remains, from one batch to the next, of the mean of gradients' sizes.
AVERAGING = 0.9
_NO_GRADIENT = 1e-30
# Of the largest size: what is smaller than this is a zero that was rounded.
_NEGLIGIBLE = 1e-6


class TargetRates(NamedTuple):
    """How far the targets move, in two currencies.

    Attributes:
        per_example: Scalar: γ for gradients `g` of one example's loss.
        as_differentiated: Scalar: the same for what differentiation returned,
            the gradients of the scaled mean loss. Targets use this one, which
            saves a pass over all gradients.
    """

    per_example: Any
    as_differentiated: Any


def network_gradient_scale(records, gradients, counts, dtype):
    r"""The typical size of the gradients at the network's pre-activations.

    One number for the network and the batch: the median over the recorded
    calls, but for those without a gradient, of the root mean square, over
    examples and units, of

    `mean over the rows of an example of g`.

    With γ relative to it, γ is the typical shift of a pre-activation that the
    targets ask for, whatever constant the loss is multiplied by. The mean over
    rows is there because the weights can only follow what the rows of an
    example ask for together; the median because single layers, as those before
    a normalization, may have gradients of another order of magnitude. It is not
    that of all calls because those behind a kernel that starts at zero, or in a
    branch of weight zero, have none. Rows that do not count are left out.
    """
    sizes = ops.stack(
        [
            ops.cast(
                _gradient_size(record, in_full_precision(gradient), count),
                dtype,
            )
            for record, gradient, count in zip(records, gradients, counts)
        ]
    )
    return _median_of_those_that_count(sizes)


def _median_of_those_that_count(sizes):
    total, count = ops.sum(sizes), sizes.shape[0]
    counting = ops.cast(sizes > _NEGLIGIBLE * ops.max(sizes), "int32")
    # They stand behind the others, in order; if there are none, at the end.
    counting = ops.maximum(ops.sum(counting), 1)
    first = count - counting
    middle = ops.stack([first + (counting - 1) // 2, first + counting // 2])
    median = ops.mean(ops.take(ops.sort(sizes), middle))
    # A step that is not finite anywhere must not look as if it were.
    return ops.where(ops.isfinite(total), median, total)


def _gradient_size(record, gradient, counts):
    units = layer_kind_of(record.layer).unit_axes(record.layer, gradient)
    rows = [axis for axis in range(1, gradient.ndim) if axis not in units]
    if counts is None:
        mean = ops.mean(gradient, axis=rows) if rows else gradient
        return ops.sqrt(_mean_or_zero(ops.square(mean)))
    counts = ops.cast(counts, gradient.dtype)
    rows_of_example = ops.sum(counts, axis=rows, keepdims=True)
    mean = ops.sum(gradient, axis=rows, keepdims=True) / ops.maximum(
        rows_of_example, 1.0
    )
    examples = _mean_or_zero(ops.cast(rows_of_example > 0, gradient.dtype))
    mean_square = _mean_or_zero(ops.square(mean))
    return ops.sqrt(mean_square / ops.maximum(examples, 1e-30))


def _mean_or_zero(tensor):
    """Zero of a call on no rows, as of an expert that is idle."""
    elements = larger(math.prod(ops.shape(tensor)), 1)
    total = ops.sum(tensor)
    return total / ops.cast(elements, total.dtype)


def target_rates(optimizer, records, gradients, counts, examples, loss_scale):
    """Computes the `TargetRates` of a batch.

    Args:
        optimizer: `LocoProp`.
        records: List of `tap.Record`.
        gradients: List of tensors, aligned with `records`: the gradients of the
            scaled mean loss at their pre-activations.
        counts: List, aligned with `gradients`: see `counted_rows`.
        examples: Scalar tensor, the number of examples.
        loss_scale: Scalar tensor.
    """
    rate = optimizer.activation_learning_rate
    dtype = optimizer.gradient_size.dtype
    factor = ops.cast(examples, dtype) / ops.cast(loss_scale, dtype)
    if optimizer.gradient_scaling == "absolute":
        return TargetRates(rate, rate * factor)
    size = factor * network_gradient_scale(records, gradients, counts, dtype)
    size = _average_over_batches(optimizer.gradient_size, size)
    # A batch without any gradient has its targets where it is already. Zero
    # times a rate without bounds would not be zero.
    relative = ops.where(
        size > _NO_GRADIENT, rate / ops.maximum(size, _NO_GRADIENT), 0.0
    )
    return TargetRates(relative, relative * factor)


def _average_over_batches(average, size):
    """Keeps the running mean of a positive number; starts at the first one.

    A batch whose gradients are small for once, as where a network has nearly
    learnt its data, then moves less than others.
    """
    mean = AVERAGING * average + (1 - AVERAGING) * size
    average.assign(ops.where(average > 0, mean, size))
    return ops.convert_to_tensor(average)


def make_problems(
    groups, records, gradients, counts, examples, rates, loss_gradients=None
):
    """Turns the records of a forward pass into local problems.

    The target of a call with pre-activation `z` and loss gradient `g` at it is
    `a = f(z) - γ g`, `f` being the activation that the layer's loss matches:
    its own for LocoProp-M, the identity for the squared loss of LocoProp-S.

    Args:
        groups: List of lists of `local_layers.LocalLayer`: those that share
            weights.
        records: List of `tap.Record`; several of one group make one problem.
        gradients: List of tensors, aligned with `records`: the gradients of
            the scaled mean loss.
        counts: List, aligned with `records`: see `counted_rows`.
        examples: Scalar tensor, the number of examples.
        rates: `TargetRates`.
        loss_gradients: As in `LocalProblem`.

    Returns:
        List of `LocalProblem`, one for each group that was called.

    Reference:
        Amid, Anil, Warmuth, [LocoProp](https://arxiv.org/abs/2106.06199),
        Sections 3.1 (squared) and 3.2 (matching).
    """
    problems = []
    for group in groups:
        of_layer = {id(local.layer): local for local in group}
        calls = [
            _make_call(of_layer[id(record.layer)], record, gradient, count)
            for record, gradient, count in zip(records, gradients, counts)
            if id(record.layer) in of_layer
        ]
        if calls:
            problems.append(
                LocalProblem(
                    ", ".join(local.name for local in group),
                    calls,
                    examples,
                    target_rate=rates.as_differentiated,
                    regularization_rate=rates.per_example,
                    loss_gradients=loss_gradients,
                )
            )
    return problems


def _make_call(local, record, gradient, count):
    return Call(
        local.layer,
        local.kind,
        local.loss,
        in_full_precision(record.inputs),
        local.loss.activation(_precise_preactivation(local.kind, record)),
        in_full_precision(gradient),
        count,
    )


def _precise_preactivation(kind, record):
    """The pre-activation as the inner steps will compute it.

    That of a half precision forward pass is off by more than the shift of a
    target: the inner steps would chase the rounding of the kernel.
    """
    if record.preactivation.dtype == in_full_precision(record.inputs).dtype:
        return record.preactivation
    return kind.preactivation(record.layer, in_full_precision(record.inputs))
