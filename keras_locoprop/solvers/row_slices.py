"""Which rows of the batch an inner step sees."""

from keras_locoprop.sizes import larger
from keras_locoprop.sizes import smaller

MINIMUM_ROWS = 128


def row_slice(step, inner_batch_size, inner_steps):
    """Chooses the rows of one inner step.

    The rows are cut into `ceil(rows / inner_batch_size)` contiguous slices of
    nearly equal size, and the inner steps take them in turn. Keras shuffles the
    data before it makes batches, so that a contiguous slice is a random one.

    Args:
        step: Integer, the inner step, from 0.
        inner_batch_size: Integer, `"all"`, or `None`: see
            `default_slice_count`.
        inner_steps: Integer, the number of inner steps.

    Returns:
        Callable that maps the number of rows (integer or scalar tensor) to
        `(start, size)`.
    """

    def rows_of_step(rows):
        if inner_batch_size == "all":
            return 0, rows
        slices = slice_count(rows, inner_batch_size, inner_steps)
        index = step % slices
        start = index * rows // slices
        return start, (index + 1) * rows // slices - start

    return rows_of_step


def slice_count(rows, inner_batch_size, inner_steps):
    """After how many inner steps the same rows come again; see `row_slice`."""
    if inner_batch_size == "all":
        return 1
    if inner_batch_size is None:
        return default_slice_count(rows, inner_steps)
    return -(-rows // inner_batch_size)


def default_slice_count(rows, inner_steps):
    """About two passes over the batch, in slices of `MINIMUM_ROWS` or more."""
    most = -(-inner_steps // 2)
    return smaller(larger(rows // MINIMUM_ROWS, 1), most)
