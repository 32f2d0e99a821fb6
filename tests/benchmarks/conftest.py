import gzip
import struct

import numpy as np
import pytest


def write_idx(path, values):
    header = struct.pack(
        f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape
    )
    path.write_bytes(gzip.compress(header + values.tobytes()))


@pytest.fixture
def data_dir(tmp_path):
    """A folder of small sets of images, as the original ones are laid out."""
    generator = np.random.default_rng(0)
    for name in ("mnist", "fashion-mnist"):
        folder = tmp_path / name
        folder.mkdir()
        for part, examples in (("train", 96), ("t10k", 32)):
            labels = np.arange(examples) % 10
            images = generator.integers(0, 25, (examples, 28, 28))
            images += 25 * labels[:, None, None]
            write_idx(
                folder / f"{part}-images-idx3-ubyte.gz", images.astype("uint8")
            )
            write_idx(
                folder / f"{part}-labels-idx1-ubyte.gz", labels.astype("uint8")
            )
    return tmp_path
