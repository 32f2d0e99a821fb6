"""Layers that have local problems, and how they hang together."""

from typing import NamedTuple

import keras

from keras_locoprop.layers import LayerKind
from keras_locoprop.local_problem import trainable_weights
from keras_locoprop.losses import MatchingLoss


class LocalLayer(NamedTuple):
    """A layer that has a local problem."""

    layer: keras.Layer
    kind: LayerKind
    loss: MatchingLoss
    name: str


class Matrix(NamedTuple):
    """A layer that multiplies rows by a matrix, and shares it with none.

    Attributes:
        layer: The `keras.Layer`.
        weights: List of `keras.Variable`s: the kernel, and the bias if any.
        shape: Tuple `(inputs, units)`.
    """

    layer: keras.Layer
    weights: list
    shape: tuple


def groups_by_weights(local_layers):
    """Gathers local layers that share weights.

    Args:
        local_layers: List of `LocalLayer`.

    Returns:
        List of lists of `LocalLayer`; most hold one.
    """
    groups = []
    for local in local_layers:
        ids = set(map(id, local.kind.weights(local.layer)))
        group = [local]
        for other in [g for g in groups if not ids.isdisjoint(g[0])]:
            groups.remove(other)
            ids |= other[0]
            group = other[1] + group
        groups.append((ids, group))
    return [group for _, group in groups]


def matrices_of(local_layers):
    """Finds the layers whose problems may be solved in closed form.

    Args:
        local_layers: List of `LocalLayer`.

    Returns:
        List of `Matrix`.
    """
    matrices = []
    for group in groups_by_weights(local_layers):
        layer, kind = group[0].layer, group[0].kind
        if len(group) > 1 or not layer.built:
            continue
        shape = kind.matrix_shape(layer)
        weights = trainable_weights(kind, layer)
        # The kernel may be frozen, and the bias not.
        if shape and weights and weights[0] is kind.weights(layer)[0]:
            matrices.append(Matrix(layer, weights, tuple(shape)))
    return matrices
