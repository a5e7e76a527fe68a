"""The best ways to divide a line into the digits of given texts, by dynamic programming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.numbers.choose import LEAST, SHARED, SHARED_PART, SHARING, SLIVER
from server.numbers.judge import MARK
from server.numbers.search import Line


class Division(NamedTuple):
    """Where the digits of a text are."""

    score: float
    """The sum of its stretches' scores; -inf when the line cannot be divided like that."""
    places: list[int]
    """The places in `line.readable` of the digits, from left to right."""


def divide(line: Line, scores: NDArray[np.float64], texts: Sequence[str]) -> list[Division]:
    """Divide a line as `choose` does, but into these digits and no others: one division for each text.

    `scores` (M, 10): see `choose.stretch_scores`. Some texts take hardly longer than one.
    """
    longest = max(len(text) for text in texts)
    digits = np.zeros((len(texts), longest), np.intp)
    for row, text in zip(digits, texts, strict=True):
        row[: len(text)] = [int(digit) for digit in text]
    as_mark = np.log(np.maximum(line.judgement[:, MARK], LEAST)).tolist()
    place_of = {candidate: place for place, candidate in enumerate(line.readable.tolist())}
    before = line.ink_before.tolist()
    starts, ends = line.candidates.starts.tolist(), line.candidates.ends.tolist()
    into: list[list[int]] = [[] for _ in range(line.cuts)]
    for index, end in enumerate(ends):
        into[end].append(index)
    has_ink = set(zip(starts, ends, strict=True))
    # For each cut, each text and each number of digits on its left: the best score, and how it was reached.
    best = np.full((line.cuts, len(texts), longest + 1), -np.inf)
    best[0, :, 0] = 0.0
    came = np.full((line.cuts, len(texts), longest + 1), -1, np.int32)
    ways: list[tuple[int, int]] = []  # the cut before, and the place of a digit or -1

    def offer(end: int, score: NDArray[np.float64], cut: int, place: int) -> None:
        now = best[end, :, int(place >= 0) :]
        is_better = score > now
        np.copyto(now, score, where=is_better)
        came[end, :, int(place >= 0) :][is_better] = len(ways)
        ways.append((cut, place))

    for end in range(1, line.cuts):
        if (end - 1, end) not in has_ink:
            offer(end, best[end - 1] + SLIVER, end - 1, -1)
        for index in into[end]:
            start = starts[index]
            offer(end, best[start] + as_mark[index], start, -1)
            place = place_of.get(index)
            if place is None:
                continue
            gains = scores[place, digits]
            most = min(SHARED, SHARED_PART * (before[end] - before[start]))
            for cut in range(start, end):
                shared = before[cut] - before[start]
                if cut > start and shared > most:
                    break
                offer(end, best[cut, :, :-1] + gains - SHARING * shared, cut, place)
    return [_division(best[:, row], came[:, row], ways, len(text)) for row, text in enumerate(texts)]


def _division(
    best: NDArray[np.float64], came: NDArray[np.int32], ways: Sequence[tuple[int, int]], left: int
) -> Division:
    """The way back from the last cut, with so many digits on its left."""
    score = float(best[-1, left])
    places: list[int] = []
    cut = len(best) - 1
    while np.isfinite(score) and cut > 0:
        cut, place = ways[came[cut, left]]
        if place >= 0:
            places.append(place)
            left -= 1
    return Division(score, places[::-1])
