"""How much drawings may take on the disk, and how much they do."""

from __future__ import annotations

from server.errors import SamplesFull
from server.samples.table import Rows

MIB = 2**20
DEFAULT_MIB = 4096


class Room:
    """The drawings that are kept, in bytes. Not for several threads at once: who writes holds a lock."""

    def __init__(self, limit_mib: int) -> None:
        self._limit = limit_mib * MIB
        # Counted when it is first asked for: that is a look at every row, and most starts never need it.
        self._used: int | None = None

    def refuse_beyond(self, rows: Rows, more: int) -> None:
        """Whether there is room for so many bytes more. Raises SamplesFull."""
        if self._used is None:
            self._used = rows.drawing_bytes()
        if self._used + more > self._limit:
            raise SamplesFull.of_bytes(self._used, self._limit)

    def changed(self, by: int) -> None:
        """So many bytes more are kept now, or fewer; for after the change is on the disk."""
        if self._used is not None:
            self._used += by
