"""A lock that is handed to who has waited the longest.

An ordinary lock goes to whoever comes first after its release, and that is nearly always the thread that has
just released it: another one may wait for as long as that one has work.
"""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class Turns:
    """One thread at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def try_take(self) -> bool:
        """Take the turn if it is free; whether it was."""
        with self._mutex:
            if self._is_taken:
                return False
            self._is_taken = True
            return True

    def __enter__(self) -> None:
        """Wait for the turn, and take it."""
        with self._mutex:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()  # Until `give_up` releases it: the turn is this thread's then.

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Let the next one have it."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
