"""TensorFlow: products with Jacobians and Hessians."""

import tensorflow as tf


def jacobian_products(forward, weights, directions):
    """Products of the Jacobian of a function of weights with directions.

    `Jv` is linear in nothing but `v`, as is `Jᵀu` in `u`: differentiating
    `⟨Jᵀu, v⟩` by `u` gives it from reverse mode alone, at the cost of forward
    mode, for every operation that has a second derivative.

    Args:
        forward: Callable without arguments; returns `(outputs, kept)`: a list
            of tensors, and a structure with whatever else is wanted of it.
        weights: List of `keras.Variable`s.
        directions: List of directions, each a list aligned with `weights`, of
            tensors, or `None` for a weight that stays.

    Returns:
        Tuple `(outputs, kept, products)`: what `forward` returned, and for each
        direction the list of tensors `Jv`, aligned with the outputs.
    """
    values = [weight.value for weight in weights]
    with tf.GradientTape() as inner:
        outputs, kept = forward()
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as outer:
        cotangents = [tf.zeros_like(output) for output in outputs]
        outer.watch(cotangents)
        pulled_back = [
            # Those of an embedding are sparse.
            tf.convert_to_tensor(gradient)
            for gradient in inner.gradient(
                outputs,
                values,
                output_gradients=cotangents,
                unconnected_gradients="zero",
            )
        ]
    products = []
    for direction in directions:
        moving = [i for i, part in enumerate(direction) if part is not None]
        products.append(
            outer.gradient(
                [pulled_back[i] for i in moving],
                cotangents,
                output_gradients=[direction[i] for i in moving],
                unconnected_gradients="zero",
            )
        )
    return outputs, kept, products


def hessian_products(function, points, directions):
    """Products of the Hessian of a scalar function with directions.

    Args:
        function: Callable that maps a list of tensors to a scalar.
        points: List of tensors.
        directions: List of directions, each a list of tensors aligned with
            `points`.

    Returns:
        Tuple `(gradient, products)`: the list of first derivatives, and for
        each direction the list of tensors `Hv`.
    """
    points = [tf.identity(point) for point in points]
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(points)
        with tf.GradientTape() as inner:
            inner.watch(points)
            value = function(points)
        gradient = inner.gradient(value, points, unconnected_gradients="zero")
    products = [
        outer.gradient(
            gradient,
            points,
            output_gradients=direction,
            unconnected_gradients="zero",
        )
        for direction in directions
    ]
    return gradient, products


def function_vector_product(function, point, vector):
    """`vector · ∂function/∂point`, the function being of one tensor."""
    point = tf.identity(point)
    with tf.GradientTape() as tape:
        tape.watch(point)
        output = function(point)
    return tape.gradient(output, point, output_gradients=vector)
