"""PyTorch: the frame of a step."""

import contextlib
import functools

import torch

from keras_locoprop.backend.torch.tensors import snapshot


@torch.compiler.disable
def run_train_step(step, model, data):
    # The compiler sees through no call that is shadowed on its layer.
    return step(model, data)


def train_function(model, function, averaged_weights):
    leading = averaged_weights.leading(torch.no_grad())

    @functools.wraps(function)
    def from_leading_weights(iterator):
        with leading():
            return function(iterator)

    return from_leading_weights


def builds_models_first():
    return False


def step_function(function):
    return torch.no_grad()(function)


def cond(predicate, if_true, if_false):
    (if_true if predicate else if_false)()


def current_trace():
    return None


def compiled(function):
    return function


def repeat(function, times, period):
    del period
    for index in range(times):
        function(index, index)


def call_aside(function, inputs, variables):
    before = [snapshot(variable) for variable in variables]
    result = function(inputs)
    for variable, value in zip(variables, before):
        variable.assign(value)
    return result


def variable_scope(model):
    del model
    return contextlib.nullcontext()


def check_distribution(model):
    del model
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    processes = distributed.get_world_size()
    if processes > 1:
        raise ValueError(
            "`LocoProp` trains on one device at a time. Received: "
            f"`torch.distributed` with {processes} processes."
        )
