"""MNIST is read from every form in which it goes around, and nothing else is taken for it."""

from __future__ import annotations

import gzip
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.datasets.mnist import Mnist, read_mnist
from server.errors import DatasetUnavailable

Npz = Callable[..., None]
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx(array: NDArray[np.uint8]) -> bytes:
    return b"\0\0\x08" + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape) + array.tobytes()


def same(one: Mnist, other: Mnist) -> bool:
    return all(
        np.array_equal(part.images, other_part.images) and np.array_equal(part.labels, other_part.labels)
        for part, other_part in ((one.train, other.train), (one.test, other.test))
    )


@pytest.fixture(scope="session")
def idx_folder(mnist: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST as its four IDX files: two plain, two packed, one under the name that some programs give."""
    folder = tmp_path_factory.mktemp("idx")
    content = mnist.content
    (folder / NAMES[0]).write_bytes(idx(content.train.images))
    (folder / (NAMES[1] + ".gz")).write_bytes(gzip.compress(idx(content.train.labels), 1))
    (folder / (NAMES[2] + ".gz")).write_bytes(gzip.compress(idx(content.test.images), 1))
    (folder / "t10k-labels.idx1-ubyte").write_bytes(idx(content.test.labels))
    return folder


@pytest.fixture
def broken(idx_folder: Path, tmp_path: Path) -> Path:
    """A copy of the folder to break; its files are links until they are written."""
    folder = tmp_path / "idx"
    folder.mkdir()
    for file in idx_folder.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


def rewrite(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def refusal(path: Path, sha256: str) -> str:
    with pytest.raises(DatasetUnavailable) as refused:
        read_mnist(path, sha256)
    return refused.value.message


def test_an_npz_is_read(mnist: Any) -> None:
    assert same(read_mnist(mnist.path, mnist.checksums.mnist), mnist.content)


def test_a_folder_of_idx_files_is_read_plain_and_packed(mnist: Any, idx_folder: Path) -> None:
    assert same(read_mnist(idx_folder, mnist.checksums.mnist), mnist.content)


def test_labels_of_any_integer_type_are_read(mnist: Any, npz: Npz, tmp_path: Path) -> None:
    wide = {
        "y_train": mnist.content.train.labels.astype(np.int64),
        "y_test": mnist.content.test.labels.astype(">i4"),
    }
    npz(tmp_path / "wide.npz", mnist.content, **wide)
    assert same(read_mnist(tmp_path / "wide.npz", mnist.checksums.mnist), mnist.content)


def test_nothing_at_the_path_is_refused(mnist: Any, tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere.npz", mnist.checksums.mnist)
    assert message.startswith(
        f"DIGITS_MNIST={tmp_path / 'nowhere.npz'}: expected an npz file or a folder of IDX files"
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"x_train": None}, "no x_train among ['y_train', 'x_test', 'y_test']"),
        ({"x_test": np.zeros((10_000, 784), np.uint8)}, "x_test (10000, 784) uint8"),
        ({"x_test": np.zeros((9_999, 28, 28), np.uint8)}, "x_test (9999, 28, 28) uint8"),
        ({"x_test": np.zeros((10_000, 28, 28), np.float32)}, "x_test (10000, 28, 28) float32"),
        ({"y_test": np.full(10_000, 300)}, "y_test with values outside 0 to 255"),
        ({"y_test": np.full(10_000, None)}, "Object arrays cannot be loaded when allow_pickle=False"),
    ],
)
def test_an_npz_of_another_shape_is_refused_with_what_was_expected(
    mnist: Any, npz: Npz, tmp_path: Path, changes: dict[str, Any], found: str
) -> None:
    small = {"x_train": np.broadcast_to(np.uint8(0), (60_000, 28, 28))} if "x_train" not in changes else {}
    npz(tmp_path / "other.npz", mnist.content, **{**small, **changes})
    message = refusal(tmp_path / "other.npz", mnist.checksums.mnist)
    assert message.startswith(
        f"DIGITS_MNIST={tmp_path / 'other.npz'}: expected an npz with the arrays x_train (60000"
    )
    assert found in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content", [b"", b"no zip at all", pickle.dumps({"x_train": [1]}), b"PK\x03\x04 cut off"]
)
def test_a_file_that_is_no_npz_is_refused(mnist: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert "got: a file that is no complete npz" in refusal(tmp_path / "file", mnist.checksums.mnist)


def test_a_truncated_npz_is_refused(mnist: Any, tmp_path: Path) -> None:
    (tmp_path / "half.npz").write_bytes(mnist.path.read_bytes()[:-1000])
    assert "got: a file that is no complete npz" in refusal(tmp_path / "half.npz", mnist.checksums.mnist)


def test_a_damaged_npz_is_refused(mnist: Any, tmp_path: Path) -> None:
    data = bytearray(mnist.path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "damaged.npz").write_bytes(data)
    assert refusal(tmp_path / "damaged.npz", mnist.checksums.mnist).startswith("DIGITS_MNIST=")


def test_one_different_pixel_makes_it_another_data_set(mnist: Any, npz: Npz, tmp_path: Path) -> None:
    images = mnist.content.test.images.copy()
    images[17, 0, 27] ^= 1
    npz(tmp_path / "other.npz", mnist.content, x_test=images)
    message = refusal(tmp_path / "other.npz", mnist.checksums.mnist)
    assert re.search(
        r"expected MNIST's own 60,000 training and 10,000 test digits .* leave DIGITS_MNIST empty", message
    )


def test_a_folder_that_lacks_a_file_is_refused_with_its_name(mnist: Any, broken: Path) -> None:
    (broken / f"{NAMES[2]}.gz").unlink()
    message = refusal(broken, mnist.checksums.mnist)
    assert message.endswith(f"{NAMES[2]} is missing")
    assert message.startswith(f"DIGITS_MNIST={broken}: expected a folder with {NAMES[0]}")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "does not begin as an IDX file"),
        (b"\0\0\x0d\x01\0\0\0\x01" + bytes(4), "does not begin as an IDX file"),
        (b"\0\0\x08\x03\0\0", "got: "),
        (b"\0\0\x08\x01\0\0\x27\x10" + bytes(100), "says (10000,) but holds 100 bytes"),
        (b"\0\0\x08\x01\0\0\0\x01" + bytes(1), "y_test (1,) uint8"),
    ],
)
def test_an_idx_file_of_another_content_is_refused(
    mnist: Any, broken: Path, content: bytes, found: str
) -> None:
    rewrite(broken / "t10k-labels.idx1-ubyte", content)
    assert found in refusal(broken, mnist.checksums.mnist)


def test_a_truncated_packed_idx_file_is_refused(mnist: Any, broken: Path) -> None:
    packed = broken / f"{NAMES[2]}.gz"
    rewrite(packed, packed.read_bytes()[:-100])
    assert "Compressed file ended" in refusal(broken, mnist.checksums.mnist)
