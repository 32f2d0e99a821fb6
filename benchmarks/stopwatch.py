"""Timing of training steps, side by side."""

import time

import keras
import numpy as np

from keras_locoprop import backend
from keras_locoprop import keras_private
from keras_locoprop.plan import make_plan
from keras_locoprop.tap import recording


class ForwardBackward(keras.Sequential):
    """Does in its train step what LocoProp's does before the solves.

    Keras compiles and calls it in the same way, so that the difference of the
    two times is the time of the solves.
    """

    def train_step(self, *data):
        return backend.run_train_step(_forward_backward, self, *data)


@backend.step_function
def _forward_backward(model, data):
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    plan = make_plan(model)

    def forward():
        with recording(local.layer for local in plan.local_layers) as records:
            prediction = keras_private.call_model(model, x, training=True)
        loss = keras_private.compute_loss(
            model, x=x, y=y, y_pred=prediction, training=True
        )
        keras_private.loss_tracker(model).update_state(loss)
        return loss, [record.preactivation for record in records], None

    _, gradients, _ = backend.differentiate(forward, plan.fallback_weights)
    # Compilers leave out of a function what it does not return.
    return model.get_metrics_result() | {
        f"gradient {i}": gradient for i, gradient in enumerate(gradients)
    }


class Steps:
    """Takes training steps of a compiled model on one batch, again and again.

    The batch stays in memory, and neither data nor callbacks are in the time.

    Args:
        model: A compiled `keras.Model`.
        batch: Tuple of NumPy arrays `(x, y)`.
    """

    def __init__(self, model, batch):
        self._model = model
        self._batch = batch
        self._tensors = tuple(map(keras.ops.convert_to_tensor, batch))
        self._iterator = None
        if keras.backend.backend() == "tensorflow":
            self._iterator = _endless(batch)

    def first(self):
        """Takes the first step by `fit`, with all that is made for it.

        Returns:
            Its seconds, nearly all of them compilation.
        """
        x, y = self._batch
        start = time.perf_counter()
        self._model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
        return time.perf_counter() - start

    def __call__(self):
        if self._iterator is None:
            logs = self._model.train_on_batch(*self._tensors, return_dict=True)
        else:
            if self._model.train_function is None:
                self._model.make_train_function()
            logs = self._model.train_function(self._iterator)
        # An accelerator is still at work until a result is read.
        return float(logs["loss"])


def _endless(batch):
    """A batch again and again, its size unknown to TensorFlow as in `fit`."""
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(batch)
    return iter(dataset.batch(len(batch[0])).cache().repeat())


class MatrixProduct:
    """Multiplies two square matrices of single precision.

    Args:
        size: Integer, the number of rows and columns.
    """

    def __init__(self, size):
        generator = np.random.default_rng(0)
        self._factors = [
            keras.ops.convert_to_tensor(
                generator.standard_normal((size, size), "float32")
            )
            for _ in range(2)
        ]
        self.operations = 2 * size**3

    def __call__(self):
        return float(keras.ops.matmul(*self._factors)[0, 0])


def interleaved_seconds(tasks, rounds, steps):
    """Times tasks in turn, so that they share what else the machine does.

    Args:
        tasks: Dict of callables without arguments.
        rounds: Integer, how often all tasks have their turn.
        steps: Integer, the calls of a task in each of its turns.

    Returns:
        Dict of lists: the seconds of every call.
    """
    seconds = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(rounds):
        for name, task in tasks.items():
            for _ in range(steps):
                start = time.perf_counter()
                task()
                seconds[name].append(time.perf_counter() - start)
    return seconds
