"""Sweeps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(128), unique=True),
        sa.Column("recipe", sa.String(64), nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("ranges", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("trials", sa.JSON, nullable=False),
        sa.Column("ends_early", sa.Boolean, nullable=False),
        sa.Column("deploy_when_done", sa.Boolean, nullable=False),
        sa.Column("is_stopping", sa.Boolean, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False, index=True),
        sa.Column("ended", sa.DateTime),
        sa.Column("failure_reason", sa.Text, nullable=False),
        sa.Column("gate", sa.JSON),
        sa.Column("call_id", sa.String(128), nullable=False),
    )
