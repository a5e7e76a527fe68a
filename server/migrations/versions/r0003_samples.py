"""People's own samples, marks on labels, the gate, and deployments that are safe to repeat."""

from __future__ import annotations

import sqlalchemy as sa

from server.migrations.missing import add_missing_columns, create_missing_table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_missing_columns(
        "trainings",
        sa.Column("call_id", sa.String(128), nullable=False, server_default=""),
        sa.Column("base_version", sa.Integer),
        sa.Column("samples", sa.Integer, nullable=False, server_default="0"),
        sa.Column("gate", sa.JSON),
    )
    # Until then the list held deployments only.
    add_missing_columns(
        "deployments", sa.Column("action", sa.String(16), nullable=False, server_default="deployed")
    )
    create_missing_table(
        "deployment_requests",
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
    )
    create_missing_table(
        "mislabelled",
        sa.Column("dataset", sa.String(32), primary_key=True),
        sa.Column("digit_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("correct_label", sa.Integer),
        sa.Column("created", sa.DateTime, nullable=False),
    )
    create_missing_table(
        "samples",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("request_id", sa.String(128), unique=True),
        sa.Column("label", sa.Integer, nullable=False),
        sa.Column("predicted_digit", sa.Integer, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("updated", sa.DateTime),
        sa.Column("is_test_digit", sa.Boolean, nullable=False),
        sa.Column("is_aside", sa.Boolean, nullable=False),
        sa.Column("pixels_sha256", sa.String(64), nullable=False, index=True),
        sa.Column("fingerprints", sa.JSON, nullable=False),
        sa.Column("pixels", sa.LargeBinary, nullable=False),
        sa.Column("drawing", sa.LargeBinary, nullable=False),
    )
