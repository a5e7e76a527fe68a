"""Samples of an archive on their way in: made ready beside the database, and taken in within a moment.

A writer keeps every other one out of SQLite, and a large archive takes seconds to read. What it holds is
therefore written to a file of its own first, for which nobody waits; to copy that takes a quarter of it.
PostgreSQL cannot read such a file: it is handed the rows, as a table of that transaction.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    exists,
    func,
    insert,
    not_,
    select,
)

from server.database import samples as table
from server.samples.table import TOGETHER

PREFIX = "incoming-"
_SCHEMA = "incoming"
# The numbers are of this file only. Without the indexes of the samples: each row is read once.
_COLUMNS = [column.name for column in table.c if column.name != "number"]
_rows = Table(
    "archive",
    MetaData(),
    Column("number", Integer, primary_key=True),
    *(Column(name, table.c[name].type) for name in _COLUMNS),
)
_attached = _rows.to_metadata(MetaData(), schema=_SCHEMA)
_attached.dialect_options["postgresql"]["on_commit"] = "DROP"


class Incoming:
    """The rows of an archive, in a file under `folder` that is gone at the end. For one thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{PREFIX}{secrets.token_hex(8)}.db"
        self._engine = create_engine(f"sqlite:///{self._path}")
        event.listen(self._engine, "connect", _prepare)
        self._seen: set[tuple[str, int]] = set()
        self._waiting: list[Mapping[str, Any]] = []
        self.given = 0
        """How many were added, those with the pixels and the label of one before among them."""

    def __enter__(self) -> Self:
        _rows.create(self._engine)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()
        self._path.unlink(missing_ok=True)

    def add(self, row: Mapping[str, Any]) -> None:
        """Make a row of `new_row` ready."""
        self.given += 1
        key = (row["pixels_sha256"], row["label"])
        if key in self._seen:
            return
        self._seen.add(key)
        self._waiting.append(row)
        if len(self._waiting) == TOGETHER:
            self._write()

    def attach(self, connection: Connection) -> None:
        """Make the rows readable in a new transaction, whose connection ends with it."""
        self._write()
        if connection.dialect.name == "postgresql":
            self._copy(connection)
            return
        # A connection of the pool would keep the file open.
        connection.detach()
        connection.exec_driver_sql(f"ATTACH DATABASE ? AS {_SCHEMA}", (str(self._path),))

    def _copy(self, connection: Connection) -> None:
        """What SQLite reads out of the file itself, as a table that is gone with the transaction."""
        # For both, the statements below speak of one schema.
        connection.execution_options(schema_translate_map={_SCHEMA: "pg_temp"})
        _attached.create(connection)
        with self._engine.connect() as reading:
            rows = reading.execute(select(_rows), execution_options={"yield_per": TOGETHER}).mappings()
            for some in rows.partitions():
                connection.execute(insert(_attached), [dict(row) for row in some])

    def new(self, connection: Connection) -> tuple[int, int]:
        """How many have pixels and a label that no sample has, and how many bytes their drawings are."""
        query = select(func.count(), func.coalesce(func.sum(func.length(_attached.c.drawing)), 0))
        count, size = connection.execute(query.where(_is_new())).one()
        return int(count), int(size)

    def take_in(self, connection: Connection) -> None:
        """Add those to the samples, in the order in which they came."""
        chosen = select(*(_attached.c[name] for name in _COLUMNS)).where(_is_new())
        connection.execute(insert(table).from_select(_COLUMNS, chosen.order_by(_attached.c.number)))

    def _write(self) -> None:
        if self._waiting:
            with self._engine.begin() as connection:
                connection.execute(insert(_rows), self._waiting)
            self._waiting = []


def clean_incoming(folder: Path) -> None:
    """Remove what a killed server has left. For the start of a server."""
    for path in folder.glob(f"{PREFIX}*"):
        path.unlink(missing_ok=True)


def _is_new() -> ColumnElement[bool]:
    is_same = (table.c.pixels_sha256 == _attached.c.pixels_sha256) & (table.c.label == _attached.c.label)
    return not_(exists().where(is_same))


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    """Nobody needs the file after a crash."""
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
