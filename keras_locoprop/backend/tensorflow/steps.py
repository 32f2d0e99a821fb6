"""TensorFlow: the frame of a step."""

import contextlib
import functools

import tensorflow as tf
from keras import ops

from keras_locoprop.backend.tensorflow.tensors import snapshot


def run_train_step(step, model, data):
    """Runs a step as what Keras calls `train_step`.

    Args:
        step: Callable that maps a model and a batch to a dict of metrics. It
            assigns the model's variables.
        model: A `keras.Model`.
        data: What Keras passes to `train_step`; on some backends more than one
            argument.

    Returns:
        What Keras expects of `train_step`.
    """
    return step(model, data)


def train_function(model, function, averaged_weights):
    """What is to stand for the function that runs Keras's train steps.

    It takes them from the leading weights. Where a step that raises would cost
    the model its weights they are put back; what came before it in one
    execution of several steps is lost there.

    Args:
        model: A `keras.Model`.
        function: The function that Keras made.
        averaged_weights: `AveragedWeights`.
    """
    # Not in the graph of the step: what raises there, as an iterator at its
    # end does, may do so before, after or between the assignments.
    leading = averaged_weights.leading(
        functools.partial(tf.function, autograph=False)
    )

    @functools.wraps(function)
    def from_leading_weights(iterator):
        with leading():
            return function(iterator)

    return from_leading_weights


def builds_models_first():
    """Whether a model has been called by the time its first step is traced.

    A layer that is not built by then is never used.
    """
    return False


def step_function(function):
    """Decorates the function that takes a step, whoever calls it.

    What is not within `differentiate` and the like is not differentiated.
    """
    return function


def cond(predicate, if_true, if_false):
    """Runs one of two functions without arguments, which assign variables.

    Args:
        predicate: Scalar tensor.
        if_true: Callable. What it returns is of no account.
        if_false: Likewise.
    """
    ops.cond(predicate, if_true, if_false)


def current_trace():
    """What operations are being added to, to be compared with `==`.

    Within a loop, a condition or a compiled function it is another one than
    around it, and no tensor of it can be used once it is closed.
    """
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def compiled(function):
    """Compiles a function of tensors that is called many times in one step.

    Its elementwise arithmetic is fused by XLA into one pass over memory each.
    """
    if tf.executing_eagerly():
        return function
    return tf.function(function, jit_compile=True, autograph=False)


def repeat(function, times, period):
    """Runs a function that assigns variables several times.

    Args:
        function: Callable of `(index, position)`: how many calls were before
            this one, and an integer, of which alone it may depend what the
            function does: 0 at first, then from 1 to the period, over and over.
        times: Integer.
        period: Callable without arguments that returns that period.
    """
    del period
    for index in range(times):
        function(index, index)


def call_aside(function, inputs, variables):
    """Calls a function for what it tells, and not for what it changes.

    In a graph it is traced in one of its own, which never runs.

    Args:
        function: Callable of the inputs. No tensor of what it returns is used.
        inputs: Structure of tensors.
        variables: List of the `keras.Variable`s that it may assign.

    Returns:
        What it returns.
    """
    if tf.executing_eagerly():
        before = [snapshot(variable) for variable in variables]
        result = function(inputs)
        for variable, value in zip(variables, before):
            variable.assign(value)
        return result
    results = []

    @functools.partial(tf.function, autograph=False)
    def traced(inputs):
        # Its own: Keras attaches masks to them, which are of this graph.
        results.append(function(inputs))

    traced.get_concrete_function(inputs)
    return results[0]


def variable_scope(model):
    """The context in which a model's variables, and an optimizer's, are made.

    Args:
        model: A `keras.Model`.
    """
    strategy = model.distribute_strategy
    if strategy is tf.distribute.get_strategy():
        return contextlib.nullcontext()
    return strategy.scope()


def check_distribution(model):
    """Raises if the model is trained on devices that it cannot be trained on.

    Args:
        model: A `keras.Model`.

    Raises:
        ValueError: If so.
    """
    strategy = model.distribute_strategy
    if (
        strategy is tf.distribute.get_strategy()
        and not tf.distribute.has_strategy()
    ):
        return
    replicas = strategy.num_replicas_in_sync
    # Keras's optimizers synchronize even if others have but one replica.
    if replicas > 1 or not isinstance(
        strategy, tf.distribute.OneDeviceStrategy
    ):
        raise ValueError(
            "`LocoProp` trains on one device at a time: without a distribution "
            "strategy, or with `tf.distribute.OneDeviceStrategy`. Received: a "
            f"{type(strategy).__name__} with {replicas} replicas."
        )
