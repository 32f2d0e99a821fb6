import gzip
import struct

import digits
import numpy as np
import pytest


def write_idx(path, values, type_code=0x08, shape=None):
    shape = values.shape if shape is None else shape
    header = struct.pack(f">HBB{len(shape)}I", 0, type_code, len(shape), *shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))
    return path


def random_set(examples, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (examples, 28, 28), dtype=np.uint8)
    return images, np.arange(examples, dtype=np.uint8) % 10


def write_idx_folder(folder, train, test):
    for part, (images, labels) in {"train": train, "t10k": test}.items():
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 3, 2), (0, 28, 28)])
def test_read_idx_gives_back_what_was_written(tmp_path, shape):
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    read = digits.read_idx(write_idx(tmp_path / "a.gz", values))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Received: nothing"),
        (b"\x89PNG and so on", "Received: 89 50 4e 47"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", "unsigned bytes"),
        (b"\x00\x00\x08\x03\x00\x00", "ends within its header"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x03ab", r"\(3,\).*Received: 2 values"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x01ab", r"\(1,\).*Received: 2 values"),
    ],
)
def test_read_idx_refuses_other_content(tmp_path, content, message):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=message):
        digits.read_idx(path)


def test_read_idx_refuses_what_is_not_compressed(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(b"\x00\x00\x08\x01\x00\x00\x00\x00")
    with pytest.raises(ValueError, match="not a complete gzip file"):
        digits.read_idx(path)


def test_read_idx_refuses_a_download_that_broke_off(tmp_path):
    path = write_idx(tmp_path / "a.gz", random_set(10)[0])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a complete gzip file"):
        digits.read_idx(path)


def test_shipped_digits():
    (x_train, y_train), (x_test, y_test) = digits.load_images()
    assert x_train.shape == (8_000, 784)
    assert x_test.shape == (2_000, 784)
    assert x_train.dtype == x_test.dtype == np.float32
    assert x_train.min() == 0 and x_train.max() == 1
    # The classes of MNIST's test set, from its documentation.
    counts = np.bincount(np.concatenate([y_train, y_test]))
    expected = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(counts, expected)
    # Drawn at random, the two parts must be alike.
    assert abs(x_train.mean() - x_test.mean()) < 0.002


def test_load_digits_is_load_images_without_labels():
    (x_train, _), (x_test, _) = digits.load_images()
    for digits_of_part, expected in zip(
        digits.load_digits(), (x_train, x_test)
    ):
        np.testing.assert_array_equal(digits_of_part, expected)


def test_folder_of_idx_files(tmp_path):
    train, test = random_set(30), random_set(10, seed=1)
    write_idx_folder(tmp_path, train, test)
    loaded = digits.load_images(data_dir=tmp_path)
    for (x, y), (images, labels) in zip(loaded, (train, test)):
        np.testing.assert_allclose(x, images.reshape(-1, 784) / 255, rtol=1e-6)
        np.testing.assert_array_equal(y, labels)


def test_images_and_labels_must_be_as_many(tmp_path):
    images, labels = random_set(30)
    write_idx_folder(tmp_path, (images, labels[:-1]), (images, labels))
    with pytest.raises(ValueError, match="30 images, 29 labels"):
        digits.load_images(data_dir=tmp_path)


def test_empty_folder_is_refused_without_a_look_at_the_network(tmp_path):
    with pytest.raises(FileNotFoundError, match="download=True"):
        digits.load_digits(data_dir=tmp_path)


def test_other_sets_are_not_shipped():
    with pytest.raises(FileNotFoundError, match="fashion_mnist"):
        digits.load_images("fashion_mnist")


def test_set_of_tensorflow_datasets(tmp_path):
    tf = pytest.importorskip("tensorflow")
    tfds = pytest.importorskip("tensorflow_datasets")
    train, test = random_set(30), random_set(10, seed=1)
    tfds.dataset_builders.store_as_tfds_dataset(
        name="mnist",
        version="3.0.1",
        data_dir=tmp_path,
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        ),
        split_datasets={
            split: tf.data.Dataset.from_tensor_slices(
                {"image": images[..., None], "label": labels.astype("int64")}
            )
            for split, (images, labels) in {
                "train": train,
                "test": test,
            }.items()
        },
    )
    loaded = digits.load_images("mnist", data_dir=tmp_path)
    for (x, y), (images, _) in zip(loaded, (train, test)):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        # TensorFlow Datasets stores the examples in an order of its own.
        flat = images.reshape(-1, 784).astype("float32") / 255
        order = [np.abs(flat - row).sum(axis=1).argmin() for row in x]
        assert sorted(order) == list(range(len(flat)))
        np.testing.assert_allclose(x, flat[order], rtol=1e-6)
        np.testing.assert_array_equal(y, np.array(order) % 10)
