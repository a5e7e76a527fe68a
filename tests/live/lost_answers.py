"""A database whose commit arrives while its answer does not: the connection ends in between."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import psycopg
import pytest
from sqlalchemy import Engine

CUT = "server closed the connection unexpectedly"


@contextmanager
def losing_an_answer(
    database: Engine, table: str, *, is_away_then: bool = False
) -> Iterator[threading.Event]:
    """Lose the answer of the next commit that adds a row to `table`; gives what is set then.

    With `is_away_then` nothing comes through any more until the block ends.
    """
    dialect: Any = database.dialect
    execute, commit = dialect.do_execute, dialect.do_commit
    adding: set[int] = set()
    is_lost = threading.Event()

    def execute_if_there(cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if is_away_then and is_lost.is_set():
            _fail(dialect.name)
        if statement.startswith(f"INSERT INTO {table} "):
            adding.add(id(cursor.connection))
        execute(cursor, statement, parameters, context)

    def commit_without_answer(connection: Any) -> None:
        commit(connection)
        own = connection.driver_connection
        if id(own) not in adding or is_lost.is_set():
            return
        is_lost.set()
        if dialect.name == "postgresql":
            _end_session(database, own)
        _fail(dialect.name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialect, "do_execute", execute_if_there)
        patch.setattr(dialect, "do_commit", commit_without_answer)
        yield is_lost


def _end_session(database: Engine, connection: psycopg.Connection[Any]) -> None:
    """Have PostgreSQL end a connection; what is sent on it next fails. Raises psycopg.OperationalError."""
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 60000)", [connection.info.backend_pid])
    connection.execute("SELECT 1")


def _fail(kind: str) -> NoReturn:
    if kind == "postgresql":
        raise psycopg.OperationalError(CUT)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    raise error
