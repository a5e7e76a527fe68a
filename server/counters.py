"""Counts and histograms that cost next to nothing to keep: numbers in lists, read by whoever asks."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

# Images computed together; no more than 64 are.
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
# Seconds: from a single image on a fast core to a full batch on a busy one.
ENGINE_SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
# Seconds: from a prediction to an archive that is read whole.
CALL_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Distribution(NamedTuple):
    """What a histogram holds at one moment."""

    counts: tuple[int, ...]
    """One for each bound, of the values up to it and above the bound before; the last: above all bounds."""
    total: float
    """The sum of all values."""


class Histogram:
    """How many values fell up to which bound. May be used from any thread."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds`, ascending."""
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._total = 0.0
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Count one value."""
        place = bisect_left(self.bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._total += value

    def read(self) -> Distribution:
        """The counts and the sum, of one moment."""
        with self._lock:
            return Distribution(tuple(self._counts), self._total)


class EngineCounters:
    """What the engine was given, and how long it took."""

    def __init__(self) -> None:
        self.batch_size = Histogram(BATCH_SIZES)
        self.seconds = Histogram(ENGINE_SECONDS)

    def note(self, rows: int, taken_s: float) -> None:
        """Count one batch."""
        self.batch_size.observe(rows)
        self.seconds.observe(taken_s)


class CallCounters:
    """How calls ended and how long they took, by method and status code. May be used from any thread."""

    bounds = CALL_SECONDS

    def __init__(self) -> None:
        self._started: dict[tuple[str, str], int] = {}
        self._calls: dict[tuple[str, str, str], Histogram] = {}
        self._lock = threading.Lock()

    def begin(self, kind: str, method: str) -> None:
        """Count a call that a handler takes up."""
        with self._lock:
            self._started[kind, method] = self._started.get((kind, method), 0) + 1

    def note(self, kind: str, method: str, code: str, taken_s: float) -> None:
        """Count one call. `kind`: "unary", "server_stream", …; `method`: its full path."""
        key = (kind, method, code)
        histogram = self._calls.get(key)
        if histogram is None:
            histogram = self._calls.setdefault(key, Histogram(CALL_SECONDS))
        histogram.observe(taken_s)

    def started(self) -> dict[tuple[str, str], int]:
        """How many calls handlers have taken up, by kind and method. From any thread."""
        return self._started.copy()

    def read(self) -> dict[tuple[str, str, str], Distribution]:
        """Every kind, method and code that there was, in any order. From any thread."""
        # A copy in one step of the interpreter: another thread may be adding to it.
        return {key: histogram.read() for key, histogram in self._calls.copy().items()}
