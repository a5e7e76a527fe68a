"""Which pieces of ink stand in one line, also where lines are slanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.numbers.pieces import Pieces, are_dashes, digit_height

# Of the digits' height: pieces as tall as this start or carry on a line, lower ones join one.
TALL = 0.4
# A piece that is a line of its own is as tall as this.
ALONE = 0.65
# Tall pieces stand in one line when this share of the lower one's height is shared.
SHARED = 0.35
# Of the digits' height: how far from a line a dot, a comma or a loose stroke may be.
REACH = 0.5
# A line that is this close above another, of the digits' height, is the upper part of it: broken strokes.
BROKEN = 0.12


def find_lines(pieces: Pieces) -> list[NDArray[np.intp]]:
    """The indices of the pieces of each line, lines from the top.

    A piece belongs with the piece to its left that is level with it, so that a line may climb or fall. Dashes
    alone are no line.
    """
    boxes = pieces.boxes
    is_dash = are_dashes(pieces)
    if is_dash.all():
        return []
    height = digit_height(boxes[~is_dash])
    is_tall = (boxes[:, 3] >= TALL * height) & ~is_dash
    lines: list[list[int]] = []
    for index in sorted(np.flatnonzero(is_tall).tolist(), key=lambda one: int(boxes[one, 0])):
        levels = [_shared(boxes, line, index) for line in lines]
        best = int(np.argmax(levels)) if levels else -1
        if best >= 0 and levels[best] >= SHARED:
            lines[best].append(index)
        else:
            lines.append([index])
    lines = _with_broken_joined(boxes, lines, height)
    # A long comma below its line is no line of its own.
    alone = [line[0] for line in lines if len(line) == 1 and boxes[line[0], 3] < ALONE * height]
    lines = [line for line in lines if line[0] not in alone or len(line) > 1]
    for index in [*np.flatnonzero(~is_tall).tolist(), *alone]:
        distances = [_distance(boxes, line, index) for line in lines]
        if distances and min(distances) <= REACH * height:
            lines[int(np.argmin(distances))].append(index)
    lines.sort(key=lambda line: float(np.median(_middles(boxes[line]))))
    return [np.array(sorted(line), np.intp) for line in lines]


def _middles(boxes: NDArray[np.int32]) -> NDArray[np.float64]:
    return boxes[:, 1] + boxes[:, 3] / 2


def _shared(boxes: NDArray[np.int32], line: list[int], index: int) -> float:
    """How much of the height of the lower of the two a piece shares with the last pieces of a line."""
    top, bottom = _extent(boxes, line[-2:])
    own_top, own_height = int(boxes[index, 1]), int(boxes[index, 3])
    shared = min(bottom, own_top + own_height) - max(top, own_top)
    return shared / min(bottom - top, own_height)


def _extent(boxes: NDArray[np.int32], line: list[int]) -> tuple[int, int]:
    return int(boxes[line, 1].min()), int((boxes[line, 1] + boxes[line, 3]).max())


def _distance(boxes: NDArray[np.int32], line: list[int], index: int) -> float:
    """How far, up or down, a piece is from what stands nearest to it in a line."""
    x, y, width, height = boxes[index]
    left, right = boxes[line, 0], boxes[line, 0] + boxes[line, 2]
    aside = np.maximum(np.maximum(left - (x + width), x - right), 0)
    near = boxes[[line[place] for place in np.argsort(aside, kind="stable")[:2]]]
    top, bottom = int(near[:, 1].min()), int((near[:, 1] + near[:, 3]).max())
    return float(max(top - (y + height), y - bottom, 0))


def _with_broken_joined(boxes: NDArray[np.int32], lines: list[list[int]], height: float) -> list[list[int]]:
    """Lines, those joined that are the upper and the lower parts of the same broken digits."""
    lines = sorted(lines, key=lambda line: float(np.median(_middles(boxes[line]))))
    joined: list[list[int]] = []
    for line in lines:
        if joined and _are_halves(boxes, joined[-1], line, height):
            joined[-1] = sorted(joined[-1] + line, key=lambda one: int(boxes[one, 0]))
        else:
            joined.append(line)
    return joined


def _are_halves(boxes: NDArray[np.int32], upper: list[int], lower: list[int], height: float) -> bool:
    """Whether each piece of the smaller line stands right above or below one of the other's."""
    few, many = sorted((upper, lower), key=len)
    for one in few:
        x, y, width, tall = boxes[one]
        others = boxes[many]
        shared = np.minimum(others[:, 0] + others[:, 2], x + width) - np.maximum(others[:, 0], x)
        gap = np.maximum(others[:, 1] - (y + tall), y - (others[:, 1] + others[:, 3]))
        together = np.maximum(others[:, 1] + others[:, 3], y + tall) - np.minimum(others[:, 1], y)
        fits = (
            (shared > 0.3 * np.minimum(others[:, 2], width))
            & (gap < BROKEN * height)
            & (together < 2.2 * height)
        )
        if not fits.any():
            return False
    return True
