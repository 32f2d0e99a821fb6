"""LocoProp for stacks of dense layers, by hand, in float64 NumPy.

An independent reading of the method's equations, against which the package is
compared. Nothing here imports the package or a deep learning framework, and
no derivative is taken by a machine.

For a batch of B examples and a layer `z = xW + b`, `y = f(z)`, with `g_i` the
gradient of example i's loss at its pre-activation `z_i`:

- squared:   target `a = z - γ g`,    local gradient `xᵀ(z' - a)`
- matching:  target `a = f(z) - γ g`, local gradient `xᵀ(f(z') - a)`

averaged over the examples of a slice, `inner_steps` times, from the old
weights. An example is one row, or a sequence of rows, whose local losses are
summed.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.oracle_functions import ACTIVATIONS
from tests.oracle_functions import LOSSES


@dataclass
class DenseLayer:
    """`f(xW + b)`; `bias=None` for a layer that has none.

    `kernel_penalty` and `bias_penalty` are the factors c of a penalty
    `c Σ w²`, Keras's `L2(c)`.
    """

    kernel: np.ndarray
    bias: np.ndarray | None
    activation: str
    kernel_penalty: float = 0.0
    bias_penalty: float = 0.0

    def pre_activation(self, inputs):
        outputs = inputs @ self.kernel
        return outputs if self.bias is None else outputs + self.bias

    def weights(self):
        return [w for w in (self.kernel, self.bias) if w is not None]

    def penalties(self):
        return [self.kernel_penalty, self.bias_penalty][: len(self.weights())]

    def assign(self, weights):
        self.kernel = weights[0]
        self.bias = weights[1] if len(weights) > 1 else None


@dataclass
class Record:
    """What one layer saw in the forward pass, and its gradient at z."""

    inputs: np.ndarray
    pre_activation: np.ndarray
    gradient: np.ndarray | None = None


def layers_of(model):
    """The oracle's copy of a Keras model that is a stack of dense layers."""

    def factor(regularizer):
        return 0.0 if regularizer is None else float(regularizer.l2)

    return [
        DenseLayer(
            kernel=np.array(layer.kernel, np.float64),
            bias=np.array(layer.bias, np.float64) if layer.use_bias else None,
            activation=layer.activation.__name__,
            kernel_penalty=factor(layer.kernel_regularizer),
            bias_penalty=factor(layer.bias_regularizer),
        )
        for layer in model.layers
    ]


def weights_of(layers):
    """All weights in Keras's order: kernel, bias, kernel, bias, …"""
    return [weight for layer in layers for weight in layer.weights()]


def forward(layers, x):
    """Returns the network's output, and a record for every layer."""
    records = []
    for layer in layers:
        pre_activation = layer.pre_activation(x)
        records.append(Record(x, pre_activation))
        x = ACTIVATIONS[layer.activation].value(pre_activation)
    return x, records


def example_losses(layers, loss, x, y, sample_weight=None):
    """The loss of every example, without the penalties on the weights."""
    losses = LOSSES[loss].value(y, forward(layers, x)[0])
    losses = np.mean(losses.reshape(len(x), -1), axis=-1)
    return losses if sample_weight is None else losses * sample_weight


def penalty(layers):
    """The sum of all layers' penalties."""
    return sum(
        factor * np.sum(weight**2)
        for layer in layers
        for factor, weight in zip(
            layer.penalties(), layer.weights(), strict=True
        )
    )


def backward(layers, loss, x, y, sample_weight=None):
    """Records whose `gradient` holds, row by row, each example's own."""
    output, records = forward(layers, x)
    rows_per_example = np.prod(output.shape[1:-1])
    upstream = LOSSES[loss].gradient(y, output) / rows_per_example
    if sample_weight is not None:
        upstream = (upstream.T * sample_weight).T
    for layer, record in zip(reversed(layers), reversed(records), strict=True):
        activation = ACTIVATIONS[layer.activation]
        record.gradient = activation.backward(record.pre_activation, upstream)
        upstream = record.gradient @ layer.kernel.T
    return records


def typical_gradient(gradients):
    """The median over layers; the mean over the rows of an example in each."""
    sizes = []
    for gradient in gradients:
        rows = tuple(range(1, gradient.ndim - 1))
        sizes.append(np.sqrt(np.mean(np.mean(gradient, axis=rows) ** 2)))
    return np.median(sizes)


def slices_of(rows, inner_batch_size):
    """Contiguous slices, as equal as they can be."""
    if inner_batch_size == "all":
        return [slice(0, rows)]
    count = math.ceil(rows / inner_batch_size)
    return [
        slice(j * rows // count, (j + 1) * rows // count) for j in range(count)
    ]


@dataclass
class LocoProp:
    """The training rule. `layers` and `optimizer` hold what persists.

    `learning_rate` is a float, or a function of the number of batches seen.
    """

    layers: list
    loss: str
    optimizer: Any
    learning_rate: Any
    activation_learning_rate: float
    variant: str = "matching"
    gradient_scaling: str = "relative"
    inner_steps: int = 10
    inner_batch_size: Any = "all"
    inner_decay: float = 0.25
    proximal: float = 0.0
    learning_rate_scaling: str = "relative"
    batches: int = 0
    gradient_size: float = 0.0

    def train_on_batch(self, x, y, sample_weight=None):
        """Returns the mean loss of the batch before the step."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        before = example_losses(self.layers, self.loss, x, y, sample_weight)
        before = np.mean(before) + penalty(self.layers)

        records = backward(self.layers, self.loss, x, y, sample_weight)
        gamma = self.activation_learning_rate
        if self.gradient_scaling == "relative":
            size = typical_gradient([record.gradient for record in records])
            if self.gradient_size:
                size = 0.9 * self.gradient_size + 0.1 * size
            self.gradient_size = size
            gamma /= size
        targets = [
            self._target(layer, record, gamma)
            for layer, record in zip(self.layers, records, strict=True)
        ]
        self._solve(records, targets, gamma)
        self.batches += 1
        return before

    def fit(self, x, y, batch_size, sample_weight=None):
        """One epoch in order. Returns the loss before each step."""
        history = []
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            weight = None if sample_weight is None else sample_weight[rows]
            history.append(self.train_on_batch(x[rows], y[rows], weight))
        return history

    def _in_local_space(self, layer, pre_activation):
        """Where a layer's target lives.

        An activation that is not the gradient of a convex function has no
        matching loss that could be minimized; its layer takes the squared one.
        """
        activation = ACTIVATIONS[layer.activation]
        if self.variant == "matching" and activation.has_matching_loss:
            return activation.value(pre_activation)
        return pre_activation

    def _target(self, layer, record, gamma):
        start = self._in_local_space(layer, record.pre_activation)
        return start - gamma * record.gradient

    def _local_gradients(self, problem, gamma, rows):
        layer, record, target, start = problem
        inputs = record.inputs[rows]
        prediction = self._in_local_space(layer, layer.pre_activation(inputs))
        error = (prediction - target[rows]) / len(inputs)
        over_rows = tuple(range(error.ndim - 1))
        of_data = [
            np.tensordot(inputs, error, axes=(over_rows, over_rows)),
            np.sum(error, axis=over_rows),
        ]
        return [
            of_datum
            + gamma * factor * 2.0 * weight
            + self.proximal * (weight - old)
            for of_datum, factor, weight, old in zip(
                of_data[: len(start)],
                layer.penalties(),
                layer.weights(),
                start,
                strict=True,
            )
        ]

    def _solve(self, records, targets, gamma):
        starts = [layer.weights() for layer in self.layers]
        problems = list(zip(self.layers, records, targets, starts, strict=True))
        slices = slices_of(len(targets[0]), self.inner_batch_size)
        rate = self.learning_rate
        rate = rate(self.batches) if callable(rate) else rate
        for k in range(self.inner_steps):
            rows = slices[k % len(slices)]
            gradients = [
                gradient
                for problem in problems
                for gradient in self._local_gradients(problem, gamma, rows)
            ]
            decay = max(1.0 - k / self.inner_steps, self.inner_decay)
            weights = weights_of(self.layers)
            rates = [rate * decay * factor for factor in self._rate_factors()]
            weights = iter(self.optimizer.apply(weights, gradients, rates))
            for layer in self.layers:
                layer.assign([next(weights) for _ in layer.weights()])

    def _rate_factors(self):
        """One for each weight: the standard deviation of Glorot's uniform."""
        for layer in self.layers:
            kernel, *_ = weights = layer.weights()
            limit = math.sqrt(6.0 / sum(kernel.shape))
            relative = self.learning_rate_scaling == "relative"
            factor = limit / math.sqrt(3.0) if relative else 1.0
            yield from [factor] * len(weights)
