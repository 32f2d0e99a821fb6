"""Training by a Keras optimizer, ours or Keras's, for `training_loop.train`."""

import time

import keras
from keras import ops

from benchmarks.comparison.training_loop import EVALUATION_BATCH_SIZE
from benchmarks.comparison.training_loop import rate_factor


class WarmUpThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """`training_loop.rate_factor` times a rate."""

    def __init__(self, highest, steps):
        super().__init__()
        self.highest = highest
        self.steps = steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        return self.highest * rate_factor(step, self.steps, ops.minimum)

    def get_config(self):
        return {"highest": self.highest, "steps": self.steps}


class _Piece(keras.callbacks.Callback):
    """What a piece of a training has that a training in one `fit` has once.

    Attributes:
        seconds: Float: those of `fit` without its set-up.
        weights: List of arrays: those before the optimizer puts averages in
            their place at the end; `None` if it does not.
    """

    weights = None

    def on_train_begin(self, logs=None):
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        if self.model.optimizer.use_ema:
            self.weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.seconds = time.perf_counter() - self._begin


def in_order(x, y, batch_size):
    """The arguments of `fit` and `evaluate` for data as they are.

    TensorFlow takes a pipeline down only when the thread that tunes it wakes,
    which may be seconds later: here is one that nothing tunes.
    """
    if keras.backend.backend() != "tensorflow":
        return {"x": x, "y": y, "batch_size": batch_size}
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    starts = tf.data.Dataset.range(0, len(x), batch_size)
    batches = starts.map(
        lambda i: (x[i : i + batch_size], y[i : i + batch_size])
    )
    return {"x": batches.prefetch(2).with_options(options)}


class KerasTrainer:
    """A model with its optimizer.

    Args:
        model: A `keras.Model`, not compiled.
        targets: `"inputs"`, whose cross-entropy is summed over pixels, or
            `"labels"`.
        optimizer: A Keras optimizer.
    """

    def __init__(self, model, targets, optimizer):
        self.model = model
        self._not_averaged = None
        if targets == "inputs":
            # Keras's mean over the pixels, times their number.
            model.compile(
                optimizer,
                "binary_crossentropy",
                loss_weights=float(model.output_shape[-1]),
            )
        else:
            model.compile(
                optimizer,
                "sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

    def warm_up(self, x, y):
        self.model.make_train_function()
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        state = self.state()
        self.fit(x, y, len(x))
        self.restore(state)

    def fit(self, x, y, batch_size):
        piece = _Piece()
        if self._not_averaged is not None:
            self.model.set_weights(self._not_averaged)
        self.model.fit(
            **in_order(x, y, batch_size),
            shuffle=False,
            verbose=0,
            callbacks=[piece],
        )
        self._not_averaged = piece.weights
        return piece.seconds

    def evaluate(self, x, y):
        results = self.model.evaluate(
            **in_order(x, y, EVALUATION_BATCH_SIZE),
            verbose=0,
            return_dict=True,
        )
        return {k: results[k] for k in ("loss", "accuracy") if k in results}

    def state(self):
        if self._not_averaged is not None:
            self.model.set_weights(self._not_averaged)
        return [ops.convert_to_numpy(v) for v in self._variables()]

    def restore(self, state):
        self._not_averaged = None
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]
