"""Which layer trains by which local problem, and which by the fallback."""

import math
from typing import NamedTuple

import keras

from keras_locoprop import keras_private
from keras_locoprop.chosen_loss import choose_loss
from keras_locoprop.chosen_loss import name_of
from keras_locoprop.coverage import Coverage
from keras_locoprop.coverage import LayerCoverage
from keras_locoprop.layer_patterns import check_each_matches
from keras_locoprop.layer_patterns import matches
from keras_locoprop.layers import layer_kind_of
from keras_locoprop.local_layers import LocalLayer
from keras_locoprop.local_layers import matrices_of
from keras_locoprop.local_problem import trainable_weights
from keras_locoprop.model_graph import ModelGraph

# Layers that call what they hold inside a loop of the framework, whose
# intermediate tensors cannot be reached from outside.
_LOOPING_LAYERS = (keras.layers.RNN, keras.layers.TimeDistributed)


class Plan(NamedTuple):
    """How the weights of a model are trained.

    Attributes:
        local_layers: List of `LocalLayer`.
        local_weights: List of `keras.Variable`, in the order of
            `model.trainable_variables`.
        fallback_weights: List of `keras.Variable`: all others, likewise.
        matrices: List of `Matrix`.
        coverage: The `Coverage`.
    """

    local_layers: list
    local_weights: list
    fallback_weights: list
    matrices: list
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
    paths = [
        path
        for path, layer, _ in leaves
        # To exclude all layers is not what the name of the whole is for.
        if layer is not model or _own_weights(model)
    ]
    check_each_matches("exclude", exclude, paths)
    graph = ModelGraph(model)
    reasons = _reasons_for_fallback(model, leaves, exclude)
    local_layers, local_ids, rows = [], set(), Coverage()
    for path, layer, _ in leaves:
        weights = _own_weights(layer)
        may_get_weights = not layer.built and layer_kind_of(layer) is not None
        if not weights and not may_get_weights:
            continue
        reason = reasons[id(layer)]
        activation = name_of(getattr(layer, "activation", None))
        trained_by, row_count = "fallback", ""
        if reason is None:
            kind = layer_kind_of(layer)
            loss, activation, reason = choose_loss(layer, kind, graph, variant)
            trained_by = "squared loss" if reason else "matching loss"
            row_count = graph.rows_per_example(layer, kind)
            local_layers.append(LocalLayer(layer, kind, loss, "/".join(path)))
            if layer.built:
                local_ids |= {id(w) for w in trainable_weights(kind, layer)}
        rows.append(
            LayerCoverage(
                layer="/".join(path),
                kind=type(layer).__name__,
                activation=activation,
                trained_by=trained_by,
                reason=reason or "",
                weights=sum(math.prod(weight.shape) for weight in weights),
                rows=row_count,
            )
        )
    weights = model.trainable_variables
    return Plan(
        local_layers,
        [weight for weight in weights if id(weight) in local_ids],
        [weight for weight in weights if id(weight) not in local_ids],
        matrices_of(local_layers),
        rows,
    )


def _reasons_for_fallback(model, leaves, exclude):
    """Maps each layer's id to why it has no local problem, or to `None`."""
    open_to_others = _layers_open_to_others(model)
    reasons = {
        id(layer): _reason_for_fallback(
            path, layer, in_loop, open_to_others, exclude
        )
        for path, layer, in_loop in leaves
    }
    weights = {
        id(layer): set(map(id, _own_weights(layer))) for _, layer, _ in leaves
    }
    # A weight that several layers share has all of them in its local problem.
    spread = True
    while spread:
        elsewhere = {w for i in weights if reasons[i] for w in weights[i]}
        spread = [
            i
            for i in weights
            if reasons[i] is None and not elsewhere.isdisjoint(weights[i])
        ]
        reasons |= dict.fromkeys(
            spread, "shares a weight with a layer that has no local problem"
        )
    return reasons


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
        if not _stands_for_another(child):
            yield from _leaves(child, child_path, in_loop, seen)
    if not path:
        yield (layer.name,), layer, in_loop


def _layers_open_to_others(model):
    """Ids of layers whose weights may be used without calling them.

    A layer that another one got hold of, as the second half of a tied
    autoencoder, may be used in ways that no record shows. Graphs of layers only
    call what they hold.
    """
    holders = {}
    for holder in (model, *keras_private.all_sublayers(model)):
        for layer in keras_private.direct_sublayers(holder):
            holders.setdefault(id(layer), {})[id(holder)] = holder
    graphs = (keras_private.Functional, keras.Sequential)
    return {
        layer_id
        for layer_id, of_layer in holders.items()
        if len(of_layer) > 1
        and not all(isinstance(h, graphs) for h in of_layer.values())
    }


def _own_weights(layer):
    """The trainable weights that a layer does not hold through another one."""
    if _stands_for_another(layer) and layer.built:
        return trainable_weights(layer_kind_of(layer), layer)
    held = {
        id(weight)
        for child in keras_private.direct_sublayers(layer)
        for weight in child.trainable_variables
    }
    return [w for w in layer.trainable_variables if id(w) not in held]


def _stands_for_another(layer):
    """Whether a layer's local problem is that of the layer it wraps."""
    kind = layer_kind_of(layer)
    return (
        kind is not None
        and kind.core(layer) is not layer
        and kind.reason_to_decline(layer) is None
    )


def _reason_for_fallback(path, layer, in_loop, open_to_others, exclude):
    kind = layer_kind_of(layer)
    if kind is None:
        return f"{type(layer).__name__} layers have no local problem"
    if any(matches(pattern, path) for pattern in exclude or ()):
        return "excluded"
    if in_loop:
        return "called inside a loop, where its inputs cannot be recorded"
    if id(layer) in open_to_others:
        return "held by several layers, which may use its weights"
    return kind.reason_to_decline(layer)
