"""Which examples of the batch an inner step sees."""

from keras_locoprop.sizes import larger
from keras_locoprop.sizes import smaller

MINIMUM_EXAMPLES = 128


def example_slice(step, inner_batch_size, inner_steps):
    """Chooses the examples of one inner step.

    They are cut into `ceil(examples / inner_batch_size)` contiguous slices of
    nearly equal size, and the inner steps take these in turn. Keras shuffles
    the data before it makes batches, so that a contiguous slice is a random
    one.

    Args:
        step: Integer, the inner step, from 0.
        inner_batch_size: Integer, `"all"`, or `None`: see
            `default_slice_count`.
        inner_steps: Integer, the number of inner steps.

    Returns:
        Callable that maps the number of examples (integer or scalar tensor) to
        `(start, size)`.
    """

    def examples_of_step(examples):
        if inner_batch_size == "all":
            return 0, examples
        slices = slice_count(examples, inner_batch_size, inner_steps)
        index = step % slices
        start = index * examples // slices
        return start, (index + 1) * examples // slices - start

    return examples_of_step


def slice_count(examples, inner_batch_size, inner_steps):
    """After how many inner steps the same ones come; see `example_slice`."""
    if inner_batch_size == "all":
        return 1
    if inner_batch_size is None:
        return default_slice_count(examples, inner_steps)
    return larger(-(-examples // inner_batch_size), 1)


def default_slice_count(examples, inner_steps):
    """About two passes, in slices of `MINIMUM_EXAMPLES` or more."""
    most = -(-inner_steps // 2)
    return smaller(larger(examples // MINIMUM_EXAMPLES, 1), most)
