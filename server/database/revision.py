"""Which revision of the tables a database has, and what follows from it. Only a migration imports Alembic."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, insert, inspect, select
from sqlalchemy.exc import DatabaseError

from server.addresses import place_of
from server.config import CannotStart
from server.database.integrity import damaged, is_damage
from server.database.tables import metadata

HEAD = "0004"
"""The revision of the tables in `server.database.tables`: the newest in `server/migrations/versions`."""
UNVERSIONED = "unversioned"
"""What stands for the revision of a database from before there were revisions."""
# Any number that nobody else takes, and not that of the owner: "tables", in ASCII.
MIGRATION_LOCK = 0x7461626C6573

# As Alembic makes it.
_versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def bring_to_head(engine: Engine) -> None:
    """Make the tables of a new database, migrate an older one, and leave one of this release as it is.

    Raises CannotStart for one of a newer release, a damaged one, and when the migration fails.
    """
    try:
        with engine.connect() as connection:
            found = read_revision(connection)
        if found is None:
            with begin_exclusively(engine) as connection:
                # Another process may have made them meanwhile.
                if read_revision(connection) is None:
                    metadata.create_all(connection)
                    stamp(connection)
            return
    except DatabaseError as error:
        if is_damage(error.orig):
            raise damaged(engine.url.database, str(error.orig)) from None
        raise
    what = f"the database {place_of(engine.url.render_as_string())}"
    refuse_newer(found, what)
    if found == UNVERSIONED and engine.dialect.name != "sqlite":
        # There never was a release without revisions that wrote to PostgreSQL.
        raise CannotStart(
            f"{what} has tables with the names of this server's, and no revision of them: they are somebody "
            "else's; choose a database of its own, or another schema (?options=-csearch_path%3DNAME)"
        )
    if found != HEAD:
        # Only now: Alembic takes a fifth of a second to import.
        from server.database.migration import migrate

        migrate(engine, found)


def refuse_newer(revision: str, what: str) -> None:
    """Raises CannotStart for a revision that only a later release knows. `what`: what has it, in words."""
    if revision != UNVERSIONED and revision > HEAD:
        raise CannotStart(
            f"{what} is of a newer release: expected a revision up to {HEAD}, got {revision}; start that "
            "release again, or restore a backup that was made before it (docs/operations.md)"
        )


def read_revision(connection: Connection) -> str | None:
    """The revision of a database; UNVERSIONED when it has tables without one, None when it has no tables."""
    tables = set(inspect(connection).get_table_names())
    if _versions.name in tables and (revision := connection.execute(select(_versions)).scalar()):
        return str(revision)
    return UNVERSIONED if tables & set(metadata.tables) else None


def read_sqlite_revision(connection: sqlite3.Connection) -> str | None:
    """The same, of a file that SQLite itself has opened."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if _versions.name in tables:
        row = connection.execute(f"SELECT version_num FROM {_versions.name}").fetchone()
        if row is not None:
            return str(row[0])
    return UNVERSIONED if tables & set(metadata.tables) else None


def stamp(connection: Connection) -> None:
    """Note that a database, which has none yet, is of the newest revision."""
    _versions.create(connection, checkfirst=True)
    connection.execute(insert(_versions).values(version_num=HEAD))


@contextmanager
def begin_exclusively(engine: Engine) -> Iterator[Connection]:
    """A transaction for changes of tables: all or nothing, and nobody else writes meanwhile."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # Python's driver would begin one only before rows are changed, and commit each table by itself.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # Another server may be at it, which takes as long as it takes.
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        yield connection
