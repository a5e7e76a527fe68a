"""What may be done twice is done again until the database is back, or the place of the versions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from server.errors import ArtifactsUnreachable, DatabaseUnreachable
from server.failures import explain, refusal_of

log = logging.getLogger(__name__)

AGAIN_AFTER_S = 1.0

Done = TypeVar("Done")


def outlast(action: Callable[[], Done], wait: Callable[[float], bool]) -> Done:
    """Do it, and while `is_away` do it again; for threads that work for nobody who waits.

    `wait(seconds)` waits in between, and gives True when nobody wants it any more: the last error is raised
    then, as any other error is at once.
    """
    is_told = False
    while True:
        try:
            return action()
        except Exception as error:
            if not is_away(error) or wait(AGAIN_AFTER_S):
                raise
            if not is_told:
                why = error.why if isinstance(error, ArtifactsUnreachable) else explain(DatabaseUnreachable())
                log.warning("waits until it is back", extra={"reason": why})
            is_told = True


def is_away(error: BaseException) -> bool:
    """Whether an error tells that the database, or the place of the versions, cannot be reached now."""
    is_told = isinstance(error, ArtifactsUnreachable | DatabaseUnreachable)
    return is_told or isinstance(refusal_of(error), DatabaseUnreachable)
