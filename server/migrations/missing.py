"""What the first steps add, where it is not there yet.

Before there were revisions every start added what was missing, so that the tables of those days may be of any
moment between two steps. Later steps know exactly where they begin and need none of this.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def create_missing_table(name: str, *parts: sa.Column[object] | sa.Index) -> None:
    """Create a table with its indexes, unless there is one of that name."""
    if name not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table(name, *parts)


def add_missing_columns(table: str, *columns: sa.Column[object]) -> None:
    """Add those columns that a table does not have."""
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in columns:
        if column.name not in present:
            op.add_column(table, column)
