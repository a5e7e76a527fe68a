"""Runs, evaluations and deployments."""

from __future__ import annotations

import sqlalchemy as sa

from server.migrations.missing import create_missing_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_missing_table(
        "trainings",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(128), unique=True),
        sa.Column("recipe", sa.String(64), nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("deploy_when_done", sa.Boolean, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False, index=True),
        sa.Column("started", sa.DateTime),
        sa.Column("ended", sa.DateTime),
        sa.Column("progress", sa.JSON),
        sa.Column("history", sa.JSON, nullable=False),
        sa.Column("model_version", sa.Integer),
        sa.Column("failure_reason", sa.Text, nullable=False),
        sa.Column("data_source", sa.JSON),
    )
    create_missing_table(
        "evaluations",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("artifact_sha256", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("from_training", sa.Boolean, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("ended", sa.DateTime),
        sa.Column("metrics", sa.JSON),
        sa.Column("probabilities", sa.LargeBinary),
        sa.Column("failure_reason", sa.Text, nullable=False),
        sa.Index("evaluations_by_version", "model_version", "dataset"),
    )
    create_missing_table(
        "deployments",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
    )
