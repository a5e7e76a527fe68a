"""The judge of a line's stretches: which digit each is as a whole, or a mark, or neither of the two.

A digit model cannot tell: it reads half a 0 as a confident 1, and two digits as an 8. The judge is a small
network that sees each stretch amid its line. `server.trainer.judge` trained it on stretches of numbers whose
digits are known; it belongs to the search for digits, and serves every version of the digit model alike.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.numbers.session import open_session

MARK, NEITHER = 10, 11
CLASSES = 12
JUDGE = Path(__file__).parent / "judge.onnx"
# Windows in one call: a page's take bounded memory.
BATCH = 256


class Judge:
    """One network on one thread. May be used from several threads at once."""

    def __init__(self, artifact: Path = JUDGE) -> None:
        self._session = open_session(artifact)
        self._input = self._session.get_inputs()[0].name

    def probabilities(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 32, 32, 2) uint8 -> (N, 12) float32: the digits 0 to 9, MARK, NEITHER."""
        answers = [np.empty((0, CLASSES), np.float32)]
        for start in range(0, len(windows), BATCH):
            pixels = np.divide(windows[start : start + BATCH], np.float32(255), dtype=np.float32)
            answers.append(np.asarray(self._session.run(None, {self._input: pixels})[0]))
        return np.concatenate(answers)
