"""What Keras's TensorBoard callback, which needs TensorFlow, writes down."""

import numpy as np
import tensorflow as tf
from keras import callbacks
from tensorboard.backend.event_processing import event_accumulator

from keras_locoprop import LocalLossLogger
from keras_locoprop import LocoProp
from tests.contract.models import fit
from tests.contract.models import make_model

RATE = 0.01


def test_tensorboard_draws_the_loss_and_the_learning_rate(tmp_path):
    model = make_model(LocoProp(RATE), run_eagerly=False)
    board = callbacks.TensorBoard(tmp_path, histogram_freq=1)
    schedule = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = fit(model, epochs=2, callbacks=[schedule, board]).history
    events = event_accumulator.EventAccumulator(
        str(tmp_path / "train"), size_guidance={"tensors": 0}
    )
    events.Reload()

    def curve(tag):
        return [tf.make_ndarray(e.tensor_proto) for e in events.Tensors(tag)]

    np.testing.assert_allclose(curve("epoch_loss"), history["loss"], rtol=1e-6)
    np.testing.assert_allclose(
        curve("epoch_learning_rate"), [RATE / 2, RATE / 4], rtol=1e-6
    )
    histograms = [t for t in events.Tags()["tensors"] if "histogram" in t]
    assert len(histograms) == len(model.weights)


def test_it_draws_what_a_callback_before_it_logged(tmp_path):
    board = callbacks.TensorBoard(tmp_path)
    fit(make_model(), callbacks=[LocalLossLogger(), board])
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("events.*"))
    assert b"displacement/last" in written
