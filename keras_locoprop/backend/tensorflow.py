"""TensorFlow: gradients, copies, slices, compilation."""

import tensorflow as tf


def differentiate(forward, recorded, weights):
    """Runs a forward pass and differentiates its loss.

    Args:
        forward: Callable without arguments; returns the scalar loss.
        recorded: Callable without arguments, called after `forward`; returns
            the list of intermediate tensors to differentiate with respect to.
        weights: List of `keras.Variable`s to differentiate with respect to.

    Returns:
        Tuple `(gradients of the tensors, gradients of the weights)`, with
        `None` where the loss does not depend on one.
    """
    with tf.GradientTape() as tape:
        loss = forward()
    tensors = recorded()
    sources = tensors + [weight.value for weight in weights]
    gradients = tape.gradient(loss, sources)
    return gradients[: len(tensors)], gradients[len(tensors) :]


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


def cholesky(matrix):
    """The lower factor; not finite where there is none."""
    # Keras's own raises, and a batch that is not finite is to be skipped.
    return tf.linalg.cholesky(matrix)


def snapshot(variable):
    """The variable's present value, unmoved by later assignments."""
    return tf.convert_to_tensor(variable.value)


def rows(tensor, start, size):
    """`tensor[start : start + size]`."""
    return tensor[start : start + size]


def replicas():
    """How many copies of the model a distribution strategy trains at once."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def compiled(function):
    """Compiles a function of tensors that is called many times in one step.

    Its elementwise arithmetic is fused by XLA into one pass over memory each.
    """
    if tf.executing_eagerly():
        return function
    return tf.function(function, jit_compile=True, autograph=False)
