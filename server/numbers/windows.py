"""Candidates amid their line: what tells a whole digit from a piece of one is mostly what is beside it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from server.numbers.candidates import Candidates
from server.numbers.cuts import Cuts

# A window shows 1.6 digit heights of the line in height and in width, as MNIST's 20 pixels are to 32.
SIDE = 32
DIGIT_HEIGHT = 20


def windows(
    ink: NDArray[np.uint8], height: float, middle: float, cuts: Cuts, candidates: Candidates
) -> NDArray[np.uint8]:
    """(N, 32, 32, 2) uint8: the ink of each candidate, and the other ink around it.

    The line, (h, w) uint8, has digits `height` pixels tall around the row `middle`; each window has that row
    and the candidate's own middle column in its centre.
    """
    scale = DIGIT_HEIGHT / height
    rows, width = max(round(ink.shape[0] * scale), 1), max(round(ink.shape[1] * scale), 1)
    small = cv2.resize(ink, (width, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    padded = np.zeros((rows + 2 * SIDE, width + 2 * SIDE), np.uint8)
    padded[SIDE : SIDE + rows, SIDE : SIDE + width] = small
    top = int(np.clip(round(middle * scale) + SIDE // 2, 0, rows + SIDE))
    seen = np.arange(top, top + SIDE)  # rows of `padded`
    # The paths go on straight above and below the line.
    original = np.clip(((seen - SIDE + 0.5) / scale).astype(int), 0, ink.shape[0] - 1)
    paths = cuts.columns[:, original] * scale + SIDE  # (C, 32)
    paths[0], paths[-1] = 0, padded.shape[1]
    centres = (candidates.boxes[:, 0] + candidates.boxes[:, 2] / 2) * scale + SIDE
    lefts = np.clip(np.rint(centres).astype(int) - SIDE // 2, 0, padded.shape[1] - SIDE)
    columns = lefts[:, None] + np.arange(SIDE)  # (N, 32)
    line = padded[seen[None, :, None], columns[:, None, :]]  # (N, 32, 32)
    middles = columns[:, None, :] + 0.5
    is_own = (middles >= paths[candidates.starts][:, :, None]) & (
        middles < paths[candidates.ends][:, :, None]
    )
    own = np.where(is_own, line, np.uint8(0))
    return np.stack((own, line - own), axis=-1)
