"""A callback that shows how the local problems are getting on."""

import keras
from keras import ops

from keras_locoprop import backend
from keras_locoprop.layer_patterns import check_each_matches
from keras_locoprop.layer_patterns import is_list_of_patterns
from keras_locoprop.layer_patterns import matches
from keras_locoprop.local_problem import mean_loss
from keras_locoprop.solvers import at_displaced_weights
from keras_locoprop.train_step import find_locoprop


class LocalLossLogger(keras.callbacks.Callback):
    r"""Logs what `LocoProp` achieves in each layer, once per epoch.

    It adds to the logs of an epoch, and so to the progress bar, to `History`
    and to every callback behind it in the list, as `TensorBoard`:

    - `local_loss_fall/<layer>`: how far the layer's local loss fell in a step,
      as a part of the squared distance to the target,
      `(loss(z) - loss(z')) / ½‖f(z) - a‖²`, the mean over the epoch. Without an
      activation it is at most 1: the target is met exactly. Where the
      activation rises less steeply there is more to gain, up to 4 for sigmoid.
      Below 0 the layer overshoots: the learning rate is too high.
    - `displacement/<layer>`: the size of the step relative to the weights,
      `‖W_t - W_T‖ / ‖W_t‖`, over all weights of the layer, likewise.
    - `skipped_steps`: the number of batches so far that changed nothing,
      because the loss or a displacement was not finite.

    Steps in which one of the first two is not a finite number, as with weights
    that are all zero, do not count for it; where none does it is NaN.

    Layers inside others go by their path, as in `coverage`. The displacement is
    that of the local problem, before clipping, weight decay and the like.

    It costs two forward passes and compiles the train step anew, before and
    after.

    Args:
        layers: List of layer names or regular expressions, matched against
            whole names or paths: the layers to log, with those inside of them.
            Defaults to `None`: all that have a local problem.

    Raises:
        ValueError: If `layers` is no such list; in `fit`, if an entry matches
            no layer with a local problem.

    Example:

    >>> model = keras_locoprop.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(1, name="linear")]
    ... )
    >>> model.compile(optimizer=keras_locoprop.LocoProp(), loss="mse")
    >>> import numpy as np
    >>> x = np.random.normal(size=(64, 4))
    >>> logger = keras_locoprop.LocalLossLogger()
    >>> history = model.fit(x, x[:, :1], callbacks=[logger], verbose=0)
    >>> sorted(history.history)[:2]
    ['displacement/linear', 'local_loss_fall/linear']
    """

    def __init__(self, layers=None):
        super().__init__()
        if not is_list_of_patterns(layers):
            raise ValueError(
                "`layers` must be a list of layer names or regular "
                f"expressions, or `None`. Received: layers={layers!r}"
            )
        self.layers = layers
        self._means = backend.Means()

    def on_train_begin(self, logs=None):
        self._means = backend.Means()
        self._observe_from_now(True)

    def on_epoch_begin(self, epoch, logs=None):
        self._means.reset()

    def on_epoch_end(self, epoch, logs=None):
        if logs is None or self._optimizer() is None:
            return
        logs.update(self._means.results())
        logs["skipped_steps"] = int(self._optimizer().skipped_steps)

    def on_train_end(self, logs=None):
        self._observe_from_now(False)

    def _optimizer(self):
        return find_locoprop(self.model.optimizer)

    def _observe_from_now(self, is_to_observe):
        optimizer = self._optimizer()
        if optimizer is not None:
            self._leave(optimizer)
            if is_to_observe:
                self._dismiss_those_of_other_trainings(optimizer)
                optimizer.observers.append(self._observe)
            # The compiled step does not know of the observer, or still does.
            self.model.make_train_function(force=True)

    def _dismiss_those_of_other_trainings(self, optimizer):
        """Keras does not end a training that was interrupted."""
        for observer in list(optimizer.observers):
            owner = getattr(observer, "__self__", None)
            # In one training all callbacks are given the same object.
            if (
                isinstance(owner, LocalLossLogger)
                and owner.params is not self.params
            ):
                optimizer.observers.remove(observer)

    def _leave(self, optimizer):
        if self._observe in optimizer.observers:
            optimizer.observers.remove(self._observe)

    def _observe(self, problems, displacements):
        paths = [path for problem in problems for path in _paths(problem)]
        try:
            check_each_matches("layers", self.layers, paths)
        except ValueError:
            # Keras does not end a training that failed: the next one is another
            # matter.
            self._leave(self._optimizer())
            raise
        displacements = iter(displacements)
        for problem in problems:
            moved = [next(displacements) for _ in problem.weights]
            name = problem.name
            if self._is_logged(problem):
                fall = _fall_of_loss(problem, moved)
                self._update(f"local_loss_fall/{name}", fall)
                size = _norm(problem.weights)
                self._update(f"displacement/{name}", _norm(moved) / size)

    def _is_logged(self, problem):
        return self.layers is None or any(
            matches(pattern, path)
            for pattern in self.layers
            for path in _paths(problem)
        )

    def _update(self, name, value):
        # A step that is skipped has nothing to report, nor has one that is
        # relative to nothing.
        is_finite = ops.isfinite(value)
        value = ops.cast(value, "float32")
        self._means.update(
            name,
            ops.where(is_finite, value, 0.0),
            ops.cast(is_finite, "float32"),
        )


def _paths(problem):
    """The names by which the problem goes, and those of its layers."""
    names = [problem.name, *problem.name.split(", ")]
    return [tuple(name.split("/")) for name in names]


def _fall_of_loss(problem, displacements):
    before, distance = mean_loss(problem)
    with at_displaced_weights(problem.weights, displacements):
        after, _ = mean_loss(problem)
    return (before - after) / (0.5 * distance)


def _norm(tensors):
    squares = [ops.sum(ops.square(tensor)) for tensor in tensors]
    return ops.sqrt(sum(squares))
