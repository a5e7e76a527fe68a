"""The scanner of lines: it reads from left to right, column by column, and need not know where a digit ends.

Where digits run deep into each other no cut gives back both of them whole. The scanner sees what is left of
each amid the other's ink, and says which digits there are; the cuts and the judge then say where. It is a
small network with connectionist temporal classification (`server.numbers.ctc`), which
`server.trainer.scanner` trained; like the judge it serves every version of the digit model alike.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from server.numbers.session import open_session

SCANNER = Path(__file__).parent / "scanner.onnx"
# As the judge's windows: a digit is 20 of 32 rows tall.
SIDE = 32
DIGIT_HEIGHT = 20
# Free columns on either side, and how many columns of a strip make one of a scan.
MARGIN = 4
STRIDE = 2
# Rows up and down, and columns for each row, that a line is moved and made to lean by to be seen anew.
SHIFT, LEAN = 1, 0.08
# Lines with more columns, some 30 digits, are seen once: those that are tangled are no longer.
MOST_COLUMNS = 600


def strip(ink: NDArray[np.uint8], height: float, middle: float) -> NDArray[np.uint8]:
    """A line as the scanner sees it: (32, W) uint8, W even.

    The line, (h, w) uint8, has digits `height` pixels tall around the row `middle`.
    """
    scale = DIGIT_HEIGHT / height
    rows, width = max(round(ink.shape[0] * scale), 1), max(round(ink.shape[1] * scale), 1)
    small = cv2.resize(ink, (width, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    seen = np.zeros((SIDE, width + 2 * MARGIN + width % STRIDE), np.uint8)
    top = round(middle * scale) - SIDE // 2
    first, beyond = max(top, 0), min(top + SIDE, rows)
    if beyond > first:
        seen[first - top : beyond - top, MARGIN : MARGIN + width] = small[first:beyond]
    return seen


def views(seen: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A strip and, unless it is long, what else its line may look like: (V, 32, W) uint8, itself first.

    A little higher and lower, and leaning a little to either side: where digits are tangled, what the scanner
    makes of all of them is right more often than what it makes of one.
    """
    if seen.shape[1] > MOST_COLUMNS:
        return seen[None]
    leaning = [
        cv2.warpAffine(seen, np.array([[1, lean, -lean * SIDE / 2], [0, 1, 0]]), seen.shape[::-1])
        for lean in (LEAN, -LEAN)
    ]
    moved = [np.roll(seen, rows, axis=0) for rows in (-SHIFT, SHIFT)]
    return np.stack([seen, *moved, *leaning]).astype(np.uint8, copy=False)


class Scanner:
    """One network on one thread. May be used from several threads at once."""

    def __init__(self, artifact: Path = SCANNER) -> None:
        self._session = open_session(artifact)
        self._input = self._session.get_inputs()[0].name

    def scan(self, strips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(V, 32, W) uint8, as `strip` gives them -> (V, W / 2, 11) float32 log-probabilities: see `ctc`."""
        pixels = np.divide(strips, np.float32(255), dtype=np.float32)[..., None]
        (answers,) = self._session.run(None, {self._input: pixels})
        logits = np.asarray(answers, np.float32)
        highest = logits.max(axis=-1, keepdims=True)
        total = np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True)) + highest
        return np.asarray(logits - total, np.float32)
