"""What is peculiar to PyTorch: processes of one training."""

import keras
import pytest

from keras_locoprop import backend

pytestmark = [
    pytest.mark.backends,
    pytest.mark.skipif(
        keras.backend.backend() != "torch", reason="about PyTorch alone"
    ),
]


def test_several_processes_are_refused(monkeypatch):
    import torch

    backend.check_distribution(keras.Model())
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="one device at a time.*2 processes"):
        backend.check_distribution(keras.Model())
