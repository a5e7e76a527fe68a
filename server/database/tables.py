"""The tables. Times are stored as UTC and come back aware of it.

What changes here needs a migration: `scripts/new_migration.py` writes it (CONTRIBUTING tells how).
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

# As SQL: Alembic does not know '' for "".
EMPTY = text("''")


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
    Column("device", Text, nullable=False, server_default=EMPTY),
    Column("libraries", JSON(none_as_null=True)),
    # The id of the call that asked for it: its log lines carry it.
    Column("call_id", String(128), nullable=False, server_default=EMPTY),
    Column("base_version", Integer),
    Column("samples", Integer, nullable=False, server_default="0"),
    Column("gate", JSON(none_as_null=True)),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", String(64), primary_key=True),
    # Makes StartSweep safe to retry: the same request finds its own sweep.
    Column("request_id", String(128), unique=True),
    Column("recipe", String(64), nullable=False),
    Column("options", JSON(none_as_null=True), nullable=False),
    Column("ranges", JSON(none_as_null=True), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    # In order, each with its options, its run, and how it stands.
    Column("trials", JSON(none_as_null=True), nullable=False),
    Column("ends_early", Boolean, nullable=False),
    Column("deploy_when_done", Boolean, nullable=False),
    # Asked to end: so it does with the next server, should this one be killed before.
    Column("is_stopping", Boolean, nullable=False),
    Column("created", UtcDateTime, nullable=False, index=True),
    Column("ended", UtcDateTime),
    Column("failure_reason", Text, nullable=False),
    Column("gate", JSON(none_as_null=True)),
    Column("call_id", String(128), nullable=False),
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
