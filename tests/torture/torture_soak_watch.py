"""What a process holds over time, and whether it grows."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from torture_parts import Usage, usage_of

LOOK_EVERY_S = 1.0
# What comes before is warming up: pools that fill, caches, a heap that finds its size.
WARM_UP = 0.3


class Watch:
    """Looks at a process every second, on a thread, until it is stopped."""

    def __init__(self, pid: int) -> None:
        self.usages: list[Usage] = []
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> Growth:
        """Look no more; how it has grown."""
        self._is_over.set()
        self._thread.join()
        return growth(self.usages)

    def _look(self) -> None:
        due = time.monotonic()
        while not self._is_over.wait(max(0.0, due - time.monotonic())):
            self.usages.append(usage_of(self._pid))
            due += LOOK_EVERY_S


@dataclass(frozen=True)
class Growth:
    """By how much the last quarter after the warm-up lies above the first one; medians of both."""

    rss_pct: float
    threads: float
    handles: float
    rss_mb: float
    """The most that it held."""


def growth(usages: Sequence[Usage]) -> Growth:
    """How a process has grown. Raises AssertionError when it was not looked at often enough."""
    warm = usages[int(len(usages) * WARM_UP) :]
    quarter = len(warm) // 4
    assert quarter, f"expected more looks than {len(usages)}"
    first, last = warm[:quarter], warm[-quarter:]

    def middle(part: Sequence[Usage], name: str) -> float:
        return statistics.median(getattr(usage, name) for usage in part)

    def more(name: str) -> float:
        return middle(last, name) - middle(first, name)

    return Growth(
        rss_pct=100 * more("rss_mb") / middle(first, "rss_mb"),
        threads=more("threads"),
        handles=more("handles"),
        rss_mb=max(usage.rss_mb for usage in usages),
    )
