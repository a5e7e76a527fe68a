"""Where the digits came from, in a form that a model version keeps in its provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from server.datasets.partitions import Digits


class SourceKind(StrEnum):
    """The three places that digits are taken from."""

    MNIST_FILE = "mnist_file"
    MNIST_DOWNLOAD = "mnist_download"
    BUILTIN = "builtin"


@dataclass(frozen=True)
class DataSource:
    """`description`: one sentence for a person. `sha256`: checksum of the digits, not of their file."""

    kind: SourceKind
    description: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind.value, "description": self.description, "sha256": self.sha256}

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> DataSource:
        """The inverse of `to_json`. Raises KeyError or ValueError for anything else."""
        return cls(SourceKind(values["kind"]), values["description"], values["sha256"])


def content_sha256(*parts: Digits) -> str:
    """Checksum of digits whatever their file: each part's images, then its labels, as bytes in C order."""
    checksum = hashlib.sha256()
    for part in parts:
        checksum.update(np.ascontiguousarray(part.images).data)
        checksum.update(np.ascontiguousarray(part.labels).data)
    return checksum.hexdigest()


def image_hashes(digits: Digits) -> list[bytes]:
    """The sha256 of each image's 784 bytes, in order: (N,) of 32 bytes."""
    return [hashlib.sha256(image).digest() for image in np.ascontiguousarray(digits.images)]
