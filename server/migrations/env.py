"""What Alembic runs for each of its commands: on a connection that is given, within its transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from server.database.tables import metadata


def run() -> None:
    """Run the steps that the command asks for."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_server_default=True,
        # The caller has begun one for all steps, SQLite's too.
        transactional_ddl=True,
        # SQLite alters a table by making it anew.
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


# Only while Alembic runs a command is there a context; to import this does nothing.
if hasattr(context, "config"):
    run()
