"""From the tables of an earlier release to those of this one, by Alembic; see `server/migrations`."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

from server.addresses import place_of
from server.config import CannotStart
from server.database.copies import keep_copy
from server.database.revision import HEAD, begin_exclusively

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def migrate(engine: Engine, found: str) -> None:
    """Bring a database from the revision `found` to HEAD, all or nothing; of an SQLite file a copy is kept.

    Raises CannotStart when that fails; the database is as it was then.
    """
    name, copy, place = engine.url.database, None, place_of(engine.url.render_as_string())
    if engine.dialect.name == "sqlite" and name not in (None, "", ":memory:"):
        copy = _keep_copy(Path(str(name)), found)
    try:
        with begin_exclusively(engine) as connection:
            upgrade(connection, HEAD)
    except Exception as error:
        log.exception("database not migrated", extra={"revision": found, "expected": HEAD})
        raise CannotStart(
            f"the database {place} could not be brought from revision {found} to {HEAD} "
            f"({_first_line(error)}); it is as it was: start the release that wrote it, and report what the "
            "log tells (docs/operations.md)"
        ) from None
    log.info("database migrated", extra={"revision": found, "to": HEAD, "copy": copy and str(copy)})


def upgrade(connection: Connection, revision: str) -> None:
    """Run the migrations up to a revision, on a connection whose transaction holds them all."""
    config = Config(attributes={"connection": connection})
    # Its own format reads % as the beginning of a name.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, revision)


def _keep_copy(database: Path, found: str) -> Path:
    try:
        copy = keep_copy(database, found)
    except (sqlite3.Error, OSError) as error:
        raise CannotStart(
            f"the database {database} has to be brought from revision {found} to {HEAD}, and no copy of it "
            f"could be made first ({error}): make room for one on that disk; nothing was changed"
        ) from None
    log.info("database copied", extra={"copy": str(copy), "revision": found})
    return copy


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
