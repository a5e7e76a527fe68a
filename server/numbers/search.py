"""From the ink of a picture to everything in it that may be a digit, line by line."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import InvalidImage
from server.numbers.candidates import Candidates, find_candidates, ink_before, model_inputs
from server.numbers.cuts import DENSITY, Cuts, find_cuts
from server.numbers.judge import CLASSES, MARK, Judge
from server.numbers.lines import find_lines
from server.numbers.pieces import Pieces, digit_height, find_pieces
from server.numbers.scanner import Scanner, strip, views
from server.numbers.windows import windows

# Larger pictures are reduced to so many pixels: their digits stay far larger than the model's 28.
MAX_PIXELS = 2_000_000
# Lines are searched with their digits this tall, in pixels; lower ones as they are.
HEIGHT = 48.0
# Digits in a picture, and digit heights that its lines may be long, all together.
MAX_LENGTH = 300
# In all lines: on a full page each digit has fewer of them, the cheapest ones, and the work is bounded.
MAX_CUTS = 1000
# Windows of a picture take 2 kB each.
JUDGED_TOGETHER = 1024
# Below this probability of being a digit a stretch is not read: it could not be chosen.
READABLE = 2e-3


class LineInk(NamedTuple):
    """The ink of a line alone."""

    ink: NDArray[np.uint8]
    """(h, w) uint8, 0 = paper."""
    height: float
    """Of its digits, in its pixels."""
    middle: float
    """Of its digits: the row."""
    left: int
    top: int
    scale: float
    """Its pixel (x, y) is (left + scale * x, top + scale * y) of the picture."""


class Line(NamedTuple):
    """A line of writing, and what may be a digit in it."""

    candidates: Candidates
    cuts: int
    """How many cuts there are, the two ends included."""
    ink_before: NDArray[np.float64]
    """(cuts,): the ink on the left of each, full pixels over the digits' height squared."""
    judgement: NDArray[np.float32]
    """(N, 12) float32: the judge's probabilities for each candidate."""
    readable: NDArray[np.intp]
    """(M,) int: the candidates that the model is to read."""
    images: NDArray[np.uint8]
    """(M, 28, 28) uint8: these as the model sees them."""
    boxes: NDArray[np.int32]
    """(N, 4) int32: x, y, width, height of each candidate's ink in the picture."""
    scans: NDArray[np.float32]
    """(V, T, 11) float32: what the scanner reads along the line, seen in V ways: see `ctc`."""


def search(ink: NDArray[np.uint8], judge: Judge, scanner: Scanner) -> list[Line]:
    """The lines of a picture, (H, W) uint8, 0 = paper, from the top.

    Raises InvalidImage, of the field `encoded`, when there is far more in it than a page of numbers.
    """
    shape = ink.shape
    reduction = max((ink.size / MAX_PIXELS) ** 0.5, 1.0)
    if reduction > 1:
        ink = np.asarray(
            cv2.resize(ink, scaled(ink.shape, reduction), interpolation=cv2.INTER_AREA), np.uint8
        )
    pieces = find_pieces(ink)
    inks = [line_ink(ink, pieces, members) for members in find_lines(pieces)]
    length = sum(line.ink.shape[1] / line.height for line in inks)
    if length > MAX_LENGTH:
        raise InvalidImage(
            "encoded", f"expected at most about {MAX_LENGTH} digits, got far more ink than that"
        )
    density = min(DENSITY, MAX_CUTS / max(length, 1))
    return [_search_line(line, density, judge, scanner, reduction, shape) for line in inks]


def _search_line(
    line: LineInk, density: float, judge: Judge, scanner: Scanner, reduction: float, shape: tuple[int, ...]
) -> Line:
    cuts = find_cuts(line.ink, line.height, density)
    candidates = find_candidates(line.ink, line.height, cuts)
    judgement = _judged(line, cuts, candidates, judge)
    readable = np.flatnonzero(judgement[:, :MARK].sum(axis=1) >= READABLE)
    images = model_inputs(line.ink, cuts, candidates, readable)
    return Line(
        candidates,
        len(cuts.costs),
        ink_before(line.ink, line.height, cuts),
        judgement,
        readable,
        images,
        _in_picture(line, candidates, reduction, shape),
        scanner.scan(views(strip(line.ink, line.height, line.middle))),
    )


def _judged(line: LineInk, cuts: Cuts, candidates: Candidates, judge: Judge) -> NDArray[np.float32]:
    """(N, 12): the judge's answers, some candidates at a time, for bounded memory."""
    answers = [np.empty((0, CLASSES), np.float32)]
    for start in range(0, len(candidates.starts), JUDGED_TOGETHER):
        some = Candidates(*(column[start : start + JUDGED_TOGETHER] for column in candidates))
        answers.append(judge.probabilities(windows(line.ink, line.height, line.middle, cuts, some)))
    return np.concatenate(answers)


def _in_picture(
    line: LineInk, candidates: Candidates, reduction: float, shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """(N, 4) int32: the candidates' boxes in the pixels of the picture, (H, W) `shape`, that was sent."""
    scale = line.scale * reduction
    start = candidates.boxes[:, :2] * scale + np.array([line.left, line.top]) * reduction
    end = start + candidates.boxes[:, 2:] * scale
    limits = np.array([shape[1], shape[0]])
    start = np.clip(np.floor(start + 0.5), 0, limits - 1)
    end = np.clip(np.floor(end + 0.5), start + 1, limits)
    return np.concatenate((start, end - start), axis=1).astype(np.int32)


def line_ink(ink: NDArray[np.uint8], pieces: Pieces, members: NDArray[np.intp]) -> LineInk:
    """The ink of some pieces of a picture alone, reduced where its digits are taller than need be."""
    boxes = pieces.boxes[members]
    height = digit_height(boxes)
    # One pixel further, for the soft edges.
    left, top = max(int(boxes[:, 0].min()) - 1, 0), max(int(boxes[:, 1].min()) - 1, 0)
    right = int((boxes[:, 0] + boxes[:, 2]).max()) + 1
    bottom = int((boxes[:, 1] + boxes[:, 3]).max()) + 1
    is_member = np.zeros(len(pieces.boxes) + 1, np.uint8)
    is_member[members + 1] = 255
    solid = is_member[pieces.labels[top:bottom, left:right]]
    own = cv2.bitwise_and(ink[top:bottom, left:right], cv2.dilate(solid, np.ones((3, 3), np.uint8)))
    scale = max(height / HEIGHT, 1.0)
    if scale > 1:
        own = cv2.resize(own, scaled(own.shape, scale), interpolation=cv2.INTER_AREA)
    own = cv2.convertScaleAbs(own, alpha=255 / max(cv2.minMaxLoc(own)[1], 1))
    is_tall = boxes[:, 3] >= 0.5 * height
    middle = float(np.median(boxes[is_tall, 1] + boxes[is_tall, 3] / 2))
    return LineInk(np.asarray(own, np.uint8), height / scale, (middle - top) / scale, left, top, scale)


def scaled(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Width and height of a picture of this shape, reduced."""
    return max(round(shape[1] / scale), 1), max(round(shape[0] / scale), 1)
