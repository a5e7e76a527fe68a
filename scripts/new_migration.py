"""Write the migration from the tables as the migrations leave them to those in server/database/tables.py.

    python scripts/new_migration.py "samples: who drew them"

It finds new tables, columns and indexes by itself; what has to happen to rows is yours to add, and the file
to read before it is committed. Then raise HEAD in server/database/revision.py, and lay the schema of the
release before beside the others in tests/server/database/schemas/.
"""

from __future__ import annotations

import argparse

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from server.database import HEAD, migration
from server.database.revision import begin_exclusively


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the migration to the tables of the code.")
    parser.add_argument("what", help='what changes, such as "samples: who drew them"')
    chosen = parser.parse_args()
    engine = create_engine("sqlite://")
    with begin_exclusively(engine) as connection:
        migration.upgrade(connection, HEAD)
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migration.MIGRATIONS))
        config.set_main_option("file_template", "r%%(rev)s_%%(slug)s")
        config.set_main_option("path_separator", "os")
        revision = f"{int(HEAD) + 1:04d}"
        command.revision(config, chosen.what, autogenerate=True, rev_id=revision)
    print(f"raise HEAD to {revision} in server/database/revision.py")


if __name__ == "__main__":
    main()
