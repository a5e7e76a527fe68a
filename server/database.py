"""The one database: runs, evaluations, deployments, samples. SQLite in WAL mode unless a URL says otherwise.

Model versions are folders, not rows (see `server.models`): where the two disagree after a crash, the
folder is right. Times are stored as UTC and come back aware of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Float,
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
    # The id of the call that asked for it: its log lines carry it.
    Column("call_id", String(128), nullable=False, server_default=""),
    Column("base_version", Integer),
    Column("samples", Integer, nullable=False, server_default="0"),
    Column("gate", JSON(none_as_null=True)),
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
    # Deletions are in the list too; rows of an earlier version are deployments all.
    Column("action", String(16), nullable=False, server_default="deployed"),
    Column("cause", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)

# Makes DeployModel safe to retry. Not in the list itself: a request may find its version deployed already.
deployment_requests = Table(
    "deployment_requests",
    metadata,
    Column("request_id", String(64), primary_key=True),
    Column("model_version", Integer, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)

mislabelled = Table(
    "mislabelled",
    metadata,
    # A digit by its place and by its content: with other digits on this machine the same place may hold
    # another image, and the mark is not for that one.
    Column("dataset", String(32), primary_key=True),
    Column("digit_index", Integer, primary_key=True, autoincrement=False),
    Column("sha256", String(64), primary_key=True),
    # None when it was not said what it is instead.
    Column("correct_label", Integer),
    Column("created", UtcDateTime, nullable=False),
)


samples = Table(
    "samples",
    metadata,
    # Grows with every row: the newest sample has the highest number.
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    # Makes AddSample safe to retry: the same request finds its own sample.
    Column("request_id", String(128), unique=True),
    Column("label", Integer, nullable=False),
    Column("predicted_digit", Integer, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("source", String(16), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("updated", UtcDateTime),
    # Its pixels are those of a digit that measures versions, in one form or another.
    Column("is_test_digit", Boolean, nullable=False),
    # Whether it is kept aside once there are enough.
    Column("is_aside", Boolean, nullable=False),
    # SHA-256 of its pixels, and of every form of it that may equal a test digit.
    Column("pixels_sha256", String(64), nullable=False, index=True),
    Column("fingerprints", JSON(none_as_null=True), nullable=False),
    # 784 bytes, 28x28 row by row, 0 = background.
    Column("pixels", LargeBinary, nullable=False),
    # Last: SQLite reads a row from its beginning, and this is its longest part.
    Column("drawing", LargeBinary, nullable=False),
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
                yield connection
        finally:
            if is_sqlite:
                connection.exec_driver_sql("PRAGMA synchronous=NORMAL")


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
