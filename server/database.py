"""The one database: training runs, evaluations, deployments. SQLite in WAL mode unless a URL says otherwise.

Model versions are folders, not rows (see `server.models`): where the two disagree after a crash, the
folder is right. Times are stored as UTC and come back aware of it.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
    false,
    inspect,
)
from sqlalchemy.schema import CreateColumn

# How long a writer waits for another one before it gives up.
BUSY_TIMEOUT_MS = 10_000


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, aware of its zone in Python and plain UTC in the database (SQLite keeps no zones)."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData()

trainings = Table(
    "trainings",
    metadata,
    Column("id", String(64), primary_key=True),
    # Makes StartTraining safe to retry: the same request finds its own run.
    Column("request_id", String(128), unique=True),
    Column("recipe", String(64), nullable=False),
    Column("options", JSON(none_as_null=True), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("deploy_when_done", Boolean, nullable=False),
    Column("created", UtcDateTime, nullable=False, index=True),
    Column("started", UtcDateTime),
    Column("ended", UtcDateTime),
    Column("progress", JSON(none_as_null=True)),
    Column("history", JSON(none_as_null=True), nullable=False),
    Column("model_version", Integer),
    Column("failure_reason", Text, nullable=False, default=""),
    Column("data_source", JSON(none_as_null=True)),
    Column("stopped_early", Boolean, nullable=False, server_default=false()),
    Column("resumes", Integer, nullable=False, server_default="0"),
    Column("device", Text, nullable=False, server_default=""),
    Column("libraries", JSON(none_as_null=True)),
)

evaluations = Table(
    "evaluations",
    metadata,
    # Grows with every row: the latest evaluation is the one with the highest number.
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("model_version", Integer, nullable=False),
    # Of the artifact that was measured: a row never speaks for another model under the same number.
    Column("artifact_sha256", String(64), nullable=False),
    Column("dataset", String(32), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    # True for the evaluation that came with the version, out of its training.
    Column("from_training", Boolean, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("ended", UtcDateTime),
    Column("metrics", JSON(none_as_null=True)),
    # (N, 10) float32, little-endian, row-major: one row per image of the data set, in its order.
    Column("probabilities", LargeBinary),
    Column("failure_reason", Text, nullable=False, default=""),
    Index("evaluations_by_version", "model_version", "dataset"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("model_version", Integer, nullable=False),
    Column("cause", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)


def open_database(url: str) -> Engine:
    """Open the database at an SQLAlchemy URL such as `sqlite:///data/digits.db`, with every table there.

    The folder of an SQLite file is created. The engine may be used from any thread; `dispose()` ends it.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        if engine.url.database not in (None, "", ":memory:"):
            Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _prepare_sqlite)
    metadata.create_all(engine)
    _add_new_columns(engine)
    return engine


def _add_new_columns(engine: Engine) -> None:
    """Bring the tables of an earlier version up to date: what is new in them is optional or has a default."""
    known = inspect(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            present = {column["name"] for column in known.get_columns(table.name)}
            for column in table.columns:
                if column.name not in present:
                    definition = CreateColumn(column).compile(dialect=engine.dialect)
                    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")


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
