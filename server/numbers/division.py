"""The best way to divide a line into the digits of a given text, by dynamic programming."""

from __future__ import annotations

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


def divide(line: Line, scores: NDArray[np.float64], text: str) -> Division:
    """Divide a line as `choose` does, but into these digits and no others.

    `scores` (M, 10): see `choose.stretch_scores`.
    """
    digits = np.array([int(digit) for digit in text], np.intp)
    as_mark = np.log(np.maximum(line.judgement[:, MARK], LEAST)).tolist()
    place_of = {candidate: place for place, candidate in enumerate(line.readable.tolist())}
    before = line.ink_before.tolist()
    starts, ends = line.candidates.starts.tolist(), line.candidates.ends.tolist()
    into: list[list[int]] = [[] for _ in range(line.cuts)]
    for index, end in enumerate(ends):
        into[end].append(index)
    has_ink = set(zip(starts, ends, strict=True))
    # For each cut and each number of digits on its left: the best score, and how it was reached.
    best = np.full((line.cuts, len(text) + 1), -np.inf)
    best[0, 0] = 0.0
    came = np.full((line.cuts, len(text) + 1, 2), -1)  # the cut before, and the place of a digit or -1

    def offer(end: int, score: NDArray[np.float64], cut: int, place: int) -> None:
        skipped = int(place >= 0)
        better = np.flatnonzero(score > best[end, skipped:]) + skipped
        best[end, better] = score[better - skipped]
        came[end, better] = cut, place

    for end in range(1, line.cuts):
        if (end - 1, end) not in has_ink:
            offer(end, best[end - 1] + SLIVER, end - 1, -1)
        for index in into[end]:
            start = starts[index]
            offer(end, best[start] + as_mark[index], start, -1)
            place = place_of.get(index)
            if place is None:
                continue
            gain = scores[place, digits]
            most = min(SHARED, SHARED_PART * (before[end] - before[start]))
            for cut in range(start, end):
                shared = before[cut] - before[start]
                if cut > start and shared > most:
                    break
                offer(end, best[cut, :-1] + gain - SHARING * shared, cut, place)
    return Division(float(best[-1, -1]), _way_back(came, len(text)) if np.isfinite(best[-1, -1]) else [])


def _way_back(came: NDArray[np.int64], left: int) -> list[int]:
    places = []
    cut = len(came) - 1
    while cut > 0:
        cut, place = came[cut, left].tolist()
        if place >= 0:
            places.append(place)
            left -= 1
    return places[::-1]
