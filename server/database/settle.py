"""Whether a change was made after all: a commit may arrive, and its answer be lost with the connection."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError


def settle(
    change: Callable[[], None], is_made: Callable[[], bool], in_doubt: Callable[[], None] | None = None
) -> None:
    """Make a change in a transaction. Raises what the database does, unless the change was made all the same.

    `is_made()` looks whether it was. Where that cannot be seen either, `in_doubt` is called before the error
    is raised: the change may have been made then.
    """
    try:
        change()
    except (SQLAlchemyError, OSError):
        if not _is_made(is_made, in_doubt):
            raise


def _is_made(look: Callable[[], bool], in_doubt: Callable[[], None] | None) -> bool:
    try:
        return look()
    except (SQLAlchemyError, OSError):
        # What the change itself met tells more.
        if in_doubt is not None:
            in_doubt()
        return False
