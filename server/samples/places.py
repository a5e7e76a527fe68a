"""So many at once and no more: archives take disk while they come and go, and memory while they are read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from server.errors import TooManyTransfers


class Places:
    """Places for work of one kind. May be used from any thread."""

    def __init__(self, what: str, limit: int) -> None:
        """`what` they are for, in a word that a caller understands, such as "imports"."""
        self._what = what
        self._limit = limit
        self._lock = threading.Lock()
        self._taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place meanwhile. Raises TooManyTransfers at once when there is none."""
        with self._lock:
            if self._taken >= self._limit:
                raise TooManyTransfers(self._what, self._limit)
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1
