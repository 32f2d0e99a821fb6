"""JAX: Keras optimizers within a step."""

import keras

from keras_locoprop import keras_private


def apply(optimizer, gradients, weights):
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer.apply(gradients, weights)
        return
    # Its `apply` assigns variables in branches, where JAX cannot follow.
    all_weights = keras_private.optimized_variables(optimizer.inner_optimizer)
    gradient_of = dict(zip(map(id, weights), gradients))
    new_values = optimizer.stateless_apply(
        [variable.value for variable in optimizer.variables],
        [gradient_of.get(id(weight)) for weight in all_weights],
        [weight.value for weight in all_weights],
    )
    for variables, values in zip(
        (all_weights, optimizer.variables), new_values
    ):
        for variable, value in zip(variables, values):
            variable.assign(value)


def update_class(optimizer):
    return type(optimizer), False
