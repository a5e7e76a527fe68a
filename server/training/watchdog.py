"""Notices a training that hangs: a program that lives, and may even talk, but does not get on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from server.protocol import Phase, Progress


@dataclass(frozen=True)
class Patience:
    """How long a training may stand still, in seconds."""

    training_s: float = 60.0
    """Between two batches."""
    otherwise_s: float = 300.0
    """Before the first batch (TensorFlow is read from a slow disk, networks are compiled), and after the
    last: neither has steps that could be told.
    """


class Watchdog:
    """Calls `on_hang(seconds)` once, on a thread of its own, when nothing was noted for too long."""

    def __init__(self, patience: Patience, on_hang: Callable[[float], None]) -> None:
        self._patience = patience
        self._on_hang = on_hang
        self._limit_s = patience.otherwise_s
        self._latest: object = None
        self._changed_at = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def note(self, progress: Progress) -> None:
        """Take note of progress. The same place told again, however often, is none."""
        place = (progress.phase, progress.epoch, progress.batch)
        if place != self._latest:
            is_learning = progress.phase is Phase.TRAINING and progress.batch > 0
            self._limit_s = self._patience.training_s if is_learning else self._patience.otherwise_s
            self._latest, self._changed_at = place, time.monotonic()

    def put_off(self) -> None:
        """Begin to wait anew: the program has yet to find a place."""
        self._changed_at = time.monotonic()

    def close(self) -> None:
        """Watch no longer."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        shortest_s = min(self._patience.training_s, self._patience.otherwise_s)
        while not self._end.wait(min(1.0, shortest_s / 4)):
            if time.monotonic() - self._changed_at > self._limit_s:
                self._on_hang(self._limit_s)
                return
