"""Handwritten digits for the tutorials, the benchmarks and the tests.

Three places are read, and the network is used only on demand:

- by default, the 10,000 real digits that come with the repository (`data/`);
- a folder of original idx files (`train-images-idx3-ubyte.gz` and so on);
- a `data_dir` of TensorFlow Datasets, which `download=True` fills if need be.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

SHIPPED = Path(__file__).resolve().parent / "data"
SHIPPED_TRAIN_EXAMPLES = 8_000
UNSIGNED_BYTE = 0x08


def read_idx(path):
    """Reads an idx file of unsigned bytes, compressed by gzip.

    Args:
        path: The file, such as `train-images-idx3-ubyte.gz`.

    Returns:
        A NumPy array of type uint8 with the shape that the file states.

    Raises:
        ValueError: If the file is not an idx file of unsigned bytes, or if its
            length is not the one that its header states.
    """
    path = Path(path)
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is not a complete gzip file: {error}"
        ) from error
    if (
        len(content) < 4
        or content[:2] != b"\x00\x00"
        or content[2] != UNSIGNED_BYTE
    ):
        raise ValueError(
            f"{path} is not an idx file of unsigned bytes, which begins with "
            f"the bytes 00 00 08. Received: {content[:4].hex(' ') or 'nothing'}"
        )
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{path} ends within its header.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"{path} must hold {shape} values, as its header states. "
            f"Received: {values.size} values"
        )
    return values.reshape(shape)


def load_images(name="mnist", data_dir=None, download=False):
    """Loads images with labels, in the form of `keras.datasets`.

    Args:
        name: The name of the set in TensorFlow Datasets, such as `"mnist"` or
            `"fashion_mnist"`. Without meaning for a folder of idx files.
        data_dir: A folder of original idx files, or a `data_dir` of TensorFlow
            Datasets. Defaults to `None`: the digits that come with the
            repository, or TensorFlow Datasets' own folder if `download` is
            `True`.
        download: Whether TensorFlow Datasets may fetch what is not there.
            Defaults to `False`, so that nothing ever waits for a network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images of shape
        `(examples, pixels)`, float32 from 0 to 1, and labels, int64.

    Raises:
        FileNotFoundError: If the images are not there and may not be fetched.
    """
    if data_dir is not None and _image_file(data_dir, "t10k").exists():
        train, test = (_read_part(data_dir, part) for part in ("train", "t10k"))
    elif data_dir is not None or download:
        train, test = _load_from_tensorflow_datasets(name, data_dir, download)
    elif name == "mnist":
        train, test = _split(*_read_part(SHIPPED, "t10k"))
    else:
        raise FileNotFoundError(
            "Only MNIST digits come with the repository. Pass `data_dir`, or "
            f"`download=True` where there is a network. Received: name={name!r}"
        )
    return _scaled(*train), _scaled(*test)


def load_digits(data_dir=None, download=False):
    """Loads MNIST digits without their labels, as an autoencoder needs them.

    Args:
        data_dir: As in `load_images`.
        download: As in `load_images`.

    Returns:
        `(x_train, x_test)`, of shape `(examples, 784)`, float32 from 0 to 1.

    Example:

    >>> x_train, x_test = load_digits()
    >>> x_train.shape, x_test.shape
    ((8000, 784), (2000, 784))
    """
    (x_train, _), (x_test, _) = load_images("mnist", data_dir, download)
    return x_train, x_test


def _image_file(folder, part):
    return Path(folder) / f"{part}-images-idx3-ubyte.gz"


def _read_part(folder, part):
    images = read_idx(_image_file(folder, part))
    labels = read_idx(Path(folder) / f"{part}-labels-idx1-ubyte.gz")
    if len(images) != len(labels):
        raise ValueError(
            f"The images and labels of {part!r} in {folder} must be as many. "
            f"Received: {len(images)} images, {len(labels)} labels"
        )
    return images, labels


def _split(images, labels):
    # The first half of the file was written by other people than the second,
    # and more neatly: cut without shuffling, the two parts would differ.
    order = np.random.default_rng(0).permutation(len(images))
    train, test = np.split(order, [SHIPPED_TRAIN_EXAMPLES])
    return (images[train], labels[train]), (images[test], labels[test])


def _scaled(images, labels):
    flat = np.reshape(images, (len(images), -1)).astype("float32") / 255.0
    return flat, np.asarray(labels, "int64")


def _load_from_tensorflow_datasets(name, data_dir, download):
    # TensorFlow Datasets would answer with an AssertionError about builders.
    if not download and not (Path(data_dir) / name).is_dir():
        raise FileNotFoundError(
            f"`data_dir` must hold original idx files, or {name!r} as "
            "TensorFlow Datasets stores it. Pass `download=True` to fetch it. "
            f"Received: data_dir={str(data_dir)!r}"
        )
    import tensorflow_datasets

    parts = tensorflow_datasets.load(
        name,
        split=["train", "test"],
        data_dir=data_dir,
        download=download,
        as_supervised=True,
        batch_size=-1,
    )
    return tensorflow_datasets.as_numpy(parts)
