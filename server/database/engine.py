"""Opening the database, and the kinds of transactions: some wait for the disk, some read one instant."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, make_url

from server.database.disk import name_fault
from server.database.revision import bring_to_head

# How long a writer waits for another one before it gives up.
BUSY_TIMEOUT_MS = 10_000


def open_database(url: str, owner: str | None = None) -> Engine:
    """Open the database at an SQLAlchemy URL such as `sqlite:///data/digits.db`, with every table there.

    The folder of an SQLite file is created, and a database of an earlier release is migrated. The engine may
    be used from any thread; `dispose()` ends it. With `owner`, the address of a server, a PostgreSQL database
    is its alone until then (see `ownership`); an SQLite file is whose the data folder is. Raises CannotStart
    for one that this release cannot use, that another server owns, or that cannot be reached.
    """
    if make_url(url).get_backend_name() == "postgresql":
        return _open_postgresql(url, owner)
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        if engine.url.database not in (None, "", ":memory:"):
            Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
            event.listen(engine, "handle_error", _name_fault)
        event.listen(engine, "connect", _prepare_sqlite)
    bring_to_head(engine)
    return engine


def _open_postgresql(url: str, owner: str | None) -> Engine:
    # Only where it is asked for: a server on SQLite starts without them.
    from server.database.ownership import own
    from server.database.postgresql import await_server, create_postgresql_engine

    engine = create_postgresql_engine(url)
    try:
        await_server(engine)
        if owner is not None:
            own(engine, owner)
        bring_to_head(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def begin_durably(engine: Engine) -> Iterator[Connection]:
    """A transaction that outlasts a power cut once it is committed; others only outlast a crash.

    It waits for the disk: for what a person was told is kept, not for what a run writes many times.
    """
    with engine.connect() as connection:
        is_sqlite = engine.dialect.name == "sqlite"
        try:
            if is_sqlite:
                # Before the transaction, within which SQLite would pass over it.
                connection.exec_driver_sql("PRAGMA synchronous=FULL")
                connection.commit()
            with connection.begin():
                if not is_sqlite:
                    # For this transaction only.
                    durable = connection.info["durable"]
                    connection.exec_driver_sql(f"SET LOCAL synchronous_commit TO {durable}")
                yield connection
        finally:
            if is_sqlite:
                connection.exec_driver_sql("PRAGMA synchronous=NORMAL")


@contextmanager
def begin_reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees everything as it is at one instant, whatever is written meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            with connection.begin():
                connection.exec_driver_sql("BEGIN")
                yield connection
        else:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection


def _name_fault(context: ExceptionContext) -> None:
    """Raises OSError where the disk knows better than SQLite what is wrong."""
    if context.engine is not None and context.original_exception is not None:
        name_fault(context.original_exception, Path(str(context.engine.url.database)).parent)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Readers beside one writer (WAL), and a writer waits for another instead of failing."""
    cursor = connection.cursor()
    # First, or changing the journal mode itself fails while another process has the file open.
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    # In WAL mode a power cut may lose the last moments with NORMAL, never the database's consistency.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
