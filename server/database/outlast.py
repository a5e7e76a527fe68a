"""What may be done twice is done again until the database is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from server.errors import DatabaseUnreachable
from server.failures import refusal_of

AGAIN_AFTER_S = 1.0

Done = TypeVar("Done")


def outlast(action: Callable[[], Done], wait: Callable[[float], bool]) -> Done:
    """Do it, and while the database is away do it again; for threads that work for nobody who waits.

    `wait(seconds)` waits in between, and gives True when nobody wants it any more: the last error is raised
    then, as any other error is at once.
    """
    while True:
        try:
            return action()
        except Exception as error:
            if not isinstance(refusal_of(error), DatabaseUnreachable) or wait(AGAIN_AFTER_S):
                raise
