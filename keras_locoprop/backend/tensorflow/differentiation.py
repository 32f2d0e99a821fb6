"""TensorFlow: gradients."""

import tensorflow as tf

from keras_locoprop.backend.tensorflow.tensors import snapshot


def probe(tensor):
    """Prepares a tensor within a forward pass to be differentiated by.

    `differentiate` and `pulled_back` have gradients with respect to the tensors
    that went through here while they ran `forward`.
    """
    return tensor


def differentiate(forward, weights):
    """Runs a forward pass and differentiates its loss.

    Args:
        forward: Callable without arguments; returns `(loss, probed, kept)`: the
            scalar loss, the list of all tensors that went through `probe`, in
            order, and a structure with whatever else is wanted of the pass. A
            backend may call it more than once. Other ways out of it, as by
            attributes, are not open to tensors.
        weights: List of `keras.Variable`s to differentiate with respect to.

    Returns:
        Tuple `(kept, gradients of the probed, gradients of the weights)`, with
        `None` where the loss does not depend on one.
    """
    with tf.GradientTape() as tape:
        loss, probed, kept = forward()
    sources = probed + [weight.value for weight in weights]
    gradients = tape.gradient(loss, sources)
    return kept, gradients[: len(probed)], gradients[len(probed) :]


def pulled_back(forward, cotangents):
    """Differentiates outputs with cotangents that depend on the outputs.

    Args:
        forward: Callable without arguments; returns `(outputs, probed, kept)`,
            the first a list of tensors, the others as in `differentiate`.
        cotangents: Callable that maps `kept` to a list of tensors aligned with
            the outputs.

    Returns:
        Tuple `(kept, gradients)`: `Σ cotangent · ∂output/∂tensor` for each
        probed tensor, or `None` where no output depends on it.
    """
    with tf.GradientTape() as tape:
        outputs, probed, kept = forward()
    return kept, tape.gradient(
        outputs, probed, output_gradients=cotangents(kept)
    )


def gradient(function, variable):
    """The gradient of a scalar function of one variable, at its value."""
    value = snapshot(variable)
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = function(value)
    return tape.gradient(result, value, unconnected_gradients="zero")


def vector_jacobian_product(function, variables, vector):
    """The gradient of `Σ function() · vector` with respect to variables."""
    values = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for value in values:
            tape.watch(value)
        outputs = function()
    return tape.gradient(outputs, values, output_gradients=vector)
