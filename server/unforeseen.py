"""Loops that must not end: what nobody foresaw is told as the bug that it is, and they go on."""

from __future__ import annotations

import logging
import time

# A bug that a loop meets at every turn is told again after so long.
TOLD_AGAIN_AFTER_S = 3600.0


class Unforeseen:
    """The bugs that a loop has met. For one thread."""

    def __init__(self, log: logging.Logger, loop: str) -> None:
        """`loop`: its name, for whoever reads the log."""
        self._log = log
        self._loop = loop
        self._told: dict[object, float] = {}

    def tell(self, error: Exception) -> None:
        """Log an error with its traceback, unless one of its kind was a while ago: of its type and place."""
        kind, now = (type(error), _place(error)), time.monotonic()
        if now - self._told.get(kind, -TOLD_AGAIN_AFTER_S) >= TOLD_AGAIN_AFTER_S:
            self._told[kind] = now
            self._log.error("bug", exc_info=error, extra={"loop": self._loop})


def _place(error: Exception) -> tuple[str, int] | None:
    """The file and the line that raised an error."""
    traced = error.__traceback__
    while traced is not None and traced.tb_next is not None:
        traced = traced.tb_next
    return None if traced is None else (traced.tb_frame.f_code.co_filename, traced.tb_lineno)
