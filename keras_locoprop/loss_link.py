"""Which activation a training loss goes with."""

import keras

from keras_locoprop import keras_private

_CLASSES_OF_FUNCTIONS = {
    keras.losses.binary_crossentropy: keras.losses.BinaryCrossentropy,
    keras.losses.categorical_crossentropy: (
        keras.losses.CategoricalCrossentropy
    ),
    keras.losses.sparse_categorical_crossentropy: (
        keras.losses.SparseCategoricalCrossentropy
    ),
}
_ACTIVATIONS = {
    keras.losses.BinaryCrossentropy: keras.activations.sigmoid,
    keras.losses.CategoricalCrossentropy: keras.activations.softmax,
    keras.losses.SparseCategoricalCrossentropy: keras.activations.softmax,
}


def link_of(loss, rank=None):
    """Which activation a cross-entropy matches, and whether it applies it.

    Args:
        loss: A loss of one output, as `compile` takes it, or `None`.
        rank: Integer, the number of axes of that output. Defaults to `None`:
            not known.

    Returns:
        Tuple `(activation, from_logits)`: sigmoid or softmax, and whether the
        loss applies it itself; `(None, False)` for other losses.
    """
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:  # `compile` knows some more.
            return None, False
    for function, of_function in _CLASSES_OF_FUNCTIONS.items():
        if loss is function:
            return _ACTIVATIONS[of_function], False
    activation = _ACTIVATIONS.get(type(loss))
    last_axis = (-1,) if rank is None else (-1, rank - 1)
    if activation is None or _axis(loss) not in last_axis:
        return None, False
    return activation, bool(loss.get_config()["from_logits"])


def _axis(loss):
    return keras_private.loss_arguments(loss).get("axis", -1)
