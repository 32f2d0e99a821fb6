"""Which layer trains by which local problem, and which by the fallback."""

import re
from collections import Counter
from typing import NamedTuple

import keras

from keras_locoprop import keras_private
from keras_locoprop.layers import LayerKind
from keras_locoprop.layers import layer_kind_of
from keras_locoprop.local_problem import trainable_weights
from keras_locoprop.losses import MatchingLoss
from keras_locoprop.losses import is_non_monotone
from keras_locoprop.losses import matching_loss_of

# Layers that call what they hold inside a loop of the framework, whose
# intermediate tensors cannot be reached from outside.
_LOOPING_LAYERS = (keras.layers.RNN, keras.layers.TimeDistributed)


class LayerCoverage(NamedTuple):
    """How one layer is trained.

    Attributes:
        layer: String, the layer's name, after those of the layers around it.
        kind: String, the layer's class.
        activation: String, the name of its activation; empty if it has none.
        trained_by: String: `"matching loss"`, `"squared loss"` or `"fallback"`.
        reason: String: why not by a matching loss; empty where it is.
        weights: Integer, the number of trainable scalars.
    """

    layer: str
    kind: str
    activation: str
    trained_by: str
    reason: str
    weights: int


class Coverage(list):
    """A list of `LayerCoverage` that prints as a table."""

    def __repr__(self):
        header = [name.replace("_", " ") for name in LayerCoverage._fields]
        rows = [header] + [[str(cell) for cell in row] for row in self]
        widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
        rows.insert(1, ["-" * width for width in widths])
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip()
            for row in rows
        )

    __str__ = __repr__


class LocalLayer(NamedTuple):
    """A layer that has a local problem."""

    layer: keras.Layer
    kind: LayerKind
    loss: MatchingLoss


class Plan(NamedTuple):
    """How the weights of a model are trained.

    Attributes:
        local_layers: List of `LocalLayer`.
        local_weights: List of `keras.Variable`, in the order of
            `model.trainable_variables`.
        fallback_weights: List of `keras.Variable`: all others, likewise.
        coverage: The `Coverage`.
    """

    local_layers: list
    local_weights: list
    fallback_weights: list
    coverage: Coverage


def coverage(model):
    """Tells how `LocoProp` trains each layer of a model.

    Args:
        model: A `keras.Model`. If it is compiled with `LocoProp`, that
            optimizer's `variant` and `exclude` count; otherwise the defaults.

    Returns:
        A `Coverage`: a list of `LayerCoverage`, one for each layer that has
        trainable weights, which prints as a table. A model that is not built
        yet shows no weights.

    Raises:
        ValueError: If `model` is not a `keras.Model`, or `exclude` names a
            layer that the model does not have.

    Example:

    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((8,)),
    ...         keras.layers.Dense(16, activation="tanh", name="hidden"),
    ...         keras.layers.LayerNormalization(name="norm"),
    ...         keras.layers.Dense(1, name="output"),
    ...     ]
    ... )
    >>> for row in coverage(model):
    ...     print(row.layer, "|", row.trained_by, "|", row.reason)
    hidden | matching loss |
    norm | fallback | LayerNormalization layers have no local problem
    output | matching loss |
    """
    check_is_model(model)
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    variant = getattr(optimizer, "variant", "matching")
    exclude = getattr(optimizer, "exclude", None)
    return make_plan(model, variant, exclude).coverage


def check_is_model(model):
    if not isinstance(model, keras.Model):
        raise ValueError(
            "`model` must be a `keras.Model`. "
            f"Received: model={model} (of type {type(model)})"
        )


def make_plan(model, variant="matching", exclude=None):
    """Decides which layers have local problems; the decision is static."""
    leaves = list(_leaves(model))
    _check_exclude(exclude, [path for path, _, _ in leaves])
    owners = Counter(
        id(weight) for _, layer, _ in leaves for weight in _own_weights(layer)
    )
    local_layers, local_ids, rows = [], set(), Coverage()
    for path, layer, in_loop in leaves:
        weights = _own_weights(layer)
        may_get_weights = not layer.built and layer_kind_of(layer) is not None
        if not weights and not may_get_weights:
            continue
        reason = _reason_for_fallback(path, layer, in_loop, owners, exclude)
        activation = getattr(layer, "activation", None)
        trained_by = "fallback"
        if reason is None:
            loss, reason = _choose_loss(activation, variant)
            trained_by = "squared loss" if reason else "matching loss"
            kind = layer_kind_of(layer)
            local_layers.append(LocalLayer(layer, kind, loss))
            if layer.built:
                local_ids |= {id(w) for w in trainable_weights(kind, layer)}
        rows.append(
            LayerCoverage(
                layer="/".join(path),
                kind=type(layer).__name__,
                activation=_name_of(activation),
                trained_by=trained_by,
                reason=reason or "",
                weights=sum(int(_size(weight)) for weight in weights),
            )
        )
    weights = model.trainable_variables
    return Plan(
        local_layers,
        [weight for weight in weights if id(weight) in local_ids],
        [weight for weight in weights if id(weight) not in local_ids],
        rows,
    )


def _leaves(layer, path=(), in_loop=False, seen=None):
    """Yields `(path, layer, in_loop)` for every layer, outer before inner."""
    seen = {id(layer)} if seen is None else seen
    in_loop = in_loop or isinstance(layer, _LOOPING_LAYERS)
    for child in keras_private.direct_sublayers(layer):
        if id(child) in seen:
            continue
        seen.add(id(child))
        child_path = (*path, child.name)
        yield child_path, child, in_loop
        yield from _leaves(child, child_path, in_loop, seen)
    if not path:
        yield (layer.name,), layer, in_loop


def _own_weights(layer):
    """The trainable weights that a layer does not hold through another one."""
    held = {
        id(weight)
        for child in keras_private.direct_sublayers(layer)
        for weight in child.trainable_variables
    }
    return [w for w in layer.trainable_variables if id(w) not in held]


def _reason_for_fallback(path, layer, in_loop, owners, exclude):
    kind = layer_kind_of(layer)
    if kind is None:
        return f"{type(layer).__name__} layers have no local problem"
    if any(_matches(pattern, path) for pattern in exclude or ()):
        return "excluded"
    if in_loop:
        return "called inside a loop, where its inputs cannot be recorded"
    if any(owners[id(weight)] > 1 for weight in _own_weights(layer)):
        return "shares a weight with another layer"
    return kind.reason_to_decline(layer)


def _choose_loss(activation, variant):
    """Returns the loss, and why it is the squared one if it is."""
    matching_loss = matching_loss_of(activation)
    squared_loss = matching_loss_of(keras.activations.linear)
    if variant == "squared":
        return squared_loss, 'variant="squared"'
    if matching_loss is not None:
        return matching_loss, None
    why = (
        "is not monotone" if is_non_monotone(activation) else "is unregistered"
    )
    return squared_loss, f"{_name_of(activation)} {why}: no matching loss"


def _matches(pattern, path):
    return any(
        re.fullmatch(pattern, name) for name in (path[-1], "/".join(path))
    )


def _check_exclude(exclude, paths):
    for pattern in exclude or ():
        if not any(_matches(pattern, path) for path in paths):
            raise ValueError(
                "`exclude` must hold names of layers, or regular expressions "
                f"that match some. Received: {pattern!r}, which matches none "
                f"of {['/'.join(path) for path in paths]}"
            )


def _name_of(activation):
    if activation is None:
        return ""
    return getattr(activation, "__name__", None) or type(activation).__name__


def _size(weight):
    size = 1
    for dimension in weight.shape:
        size *= dimension
    return size
