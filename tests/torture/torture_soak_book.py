"""The images of the soak, and the right answer of each version to each."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from digits.client.records import Prediction

# One image alone and the same among others agree to this: batches of other sizes are computed otherwise.
TOLERANCE = 1e-3
VERSIONS = (1, 2)


@dataclass(frozen=True)
class Book:
    """What may be asked, and what is to be answered."""

    labels: tuple[int, ...]
    pixels: np.ndarray
    """(N, 28, 28) uint8, 0 = background."""
    drawings: tuple[bytes, ...]
    """The same digits as PNG files, 280x280, dark on light."""
    of_pixels: np.ndarray
    """(2, N, 10): the probabilities that each of `VERSIONS` gives to `pixels`."""
    of_drawings: np.ndarray
    """(2, N, 10): and to `drawings`."""
    number: bytes
    """A PNG file with a number of several digits."""
    numbers: tuple[str, ...]
    """What each of `VERSIONS` reads in it."""

    def is_right(self, answers: np.ndarray, index: int, version: int, prediction: Prediction) -> bool:
        """Whether an answer, of `of_pixels` or `of_drawings`, is the one of this version to image `index`."""
        if version not in VERSIONS:
            return False
        expected = answers[VERSIONS.index(version), index]
        return prediction.digit == int(expected.argmax()) and bool(
            np.allclose(prediction.probabilities, expected, atol=TOLERANCE)
        )

    def save(self, path: Path) -> None:
        """Write it, for the programs that ask."""
        values = {
            "labels": self.labels,
            "pixels": self.pixels.tolist(),
            "drawings": [base64.b64encode(drawing).decode() for drawing in self.drawings],
            "of_pixels": self.of_pixels.tolist(),
            "of_drawings": self.of_drawings.tolist(),
            "number": base64.b64encode(self.number).decode(),
            "numbers": self.numbers,
        }
        path.write_text(json.dumps(values))

    @classmethod
    def load(cls, path: Path) -> Book:
        """Read what `save` wrote."""
        values = json.loads(path.read_text())
        return cls(
            tuple(values["labels"]),
            np.array(values["pixels"], np.uint8),
            tuple(map(base64.b64decode, values["drawings"])),
            np.array(values["of_pixels"]),
            np.array(values["of_drawings"]),
            base64.b64decode(values["number"]),
            tuple(values["numbers"]),
        )
