"""Runs that end early, that go on after they were cut off, and that tell what they trained on."""

from __future__ import annotations

import sqlalchemy as sa

from server.migrations.missing import add_missing_columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_missing_columns(
        "trainings",
        sa.Column("stopped_early", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("resumes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("device", sa.Text, nullable=False, server_default=""),
        sa.Column("libraries", sa.JSON),
    )
