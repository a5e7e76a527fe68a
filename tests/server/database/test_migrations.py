"""From the database of any earlier release to that of this one, or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from digits.client import Client
from sqlalchemy import Engine, create_engine, insert, select

from server.config import CannotStart
from server.database import HEAD, deployments, metadata, migration, open_database, revision, trainings
from server.database.copies import KEPT, kept_copies
from server.training.run import TrainingRun

SCHEMAS = ("first", "second", "third")
REVISIONS = ("0001", "0002", "0003", "0004")


def differences(engine: Engine) -> list[Any]:
    """What would have to change for the tables to be those of the code."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return compare_metadata(context, metadata)


def revision_of(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        return revision.read_sqlite_revision(connection)


def schema_of(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_server_that_starts_on_the_data_of_an_earlier_release_has_all_that_was_in_it(
    schema: str, old_database: Callable[[str], Path], launch_server: Callable[..., Any]
) -> None:
    path = old_database(schema)
    before = schema_of(path)
    server = launch_server(data=path.parent)

    with Client(server.address) as client:
        runs, changes = client.list_trainings().trainings, client.list_deployments().deployments
    assert [run.training_id for run in runs] == ["old-run"]
    assert [change.cause for change in changes[-2:]] == ["the first again", "the second"]
    told = server.event("database migrated")
    copy = Path(str(told["copy"]))
    assert (told["revision"], told["to"]) == ("unversioned", HEAD)
    assert revision_of(path) == HEAD
    assert (copy.parent, schema_of(copy)) == (path.parent, before)
    # The second start has nothing to do.
    written = server.log.stat().st_size
    server.stop()
    server.start()
    assert server.event("database migrated", written) is None
    assert kept_copies(path) == [copy]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_rows_of_an_earlier_release_can_be_read_as_those_of_this_one(
    schema: str, old_database: Callable[[str], Path]
) -> None:
    database = open_database(f"sqlite:///{old_database(schema)}")
    with database.connect() as connection:
        run = TrainingRun.from_row(dict(connection.execute(select(trainings)).mappings().one()))
        actions = connection.execute(select(deployments.c.action)).scalars().all()
    database.dispose()
    assert (run.training_id, run.resumes, run.stopped_early, run.device) == ("old-run", 0, False, "")
    assert (dict(run.libraries), run.samples, run.gate, run.call_id) == ({}, 0, None, "")
    assert list(actions) == ["deployed", "deployed"]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_tables_of_an_earlier_release_become_those_of_the_code(
    schema: str, old_database: Callable[[str], Path]
) -> None:
    database = open_database(f"sqlite:///{old_database(schema)}")
    assert differences(database) == []
    database.dispose()


def test_a_new_database_and_one_that_was_migrated_from_nothing_are_those_of_the_code(tmp_path: Path) -> None:
    made = open_database(f"sqlite:///{tmp_path / 'made.db'}")
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with revision.begin_exclusively(migrated) as connection:
        migration.upgrade(connection, HEAD)
    for engine in (made, migrated):
        assert differences(engine) == []
        engine.dispose()
    assert revision_of(tmp_path / "made.db") == revision_of(tmp_path / "migrated.db") == HEAD


@pytest.mark.parametrize("start", REVISIONS)
def test_from_every_revision_the_migrations_lead_to_the_tables_of_the_code(
    start: str, tmp_path: Path
) -> None:
    path = tmp_path / "digits.db"
    engine = create_engine(f"sqlite:///{path}")
    with revision.begin_exclusively(engine) as connection:
        migration.upgrade(connection, start)
    assert revision_of(path) == start
    engine.dispose()

    database = open_database(f"sqlite:///{path}")

    assert differences(database) == []
    assert revision_of(path) == HEAD
    assert [copy.name.split("-")[0] for copy in kept_copies(path)] == (
        [] if start == HEAD else [f"digits.db.{start}"]
    )
    database.dispose()


def test_the_revision_of_the_code_is_the_newest_of_the_migrations() -> None:
    script = ScriptDirectory(str(migration.MIGRATIONS))
    assert script.get_heads() == [HEAD]
    assert tuple(sorted(one.revision for one in script.walk_revisions())) == REVISIONS


def test_columns_that_were_added_by_hand_or_by_a_start_of_long_ago_are_no_hindrance(
    old_database: Callable[[str], Path],
) -> None:
    path = old_database("second")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE trainings ADD COLUMN base_version INTEGER")
        connection.execute("CREATE TABLE a_table_of_somebody_else (id INTEGER PRIMARY KEY)")
    database = open_database(f"sqlite:///{path}")
    with database.begin() as connection:
        connection.execute(insert(deployments).values(model_version=3, cause="", created=_now()))
        assert connection.exec_driver_sql("SELECT count(*) FROM a_table_of_somebody_else").scalar() == 0
    database.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was_and_says_what_to_do(
    old_database: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_database("second")
    before = schema_of(path)
    with_fault = tmp_path / "migrations"
    shutil.copytree(migration.MIGRATIONS, with_fault)
    (with_fault / "versions" / "r0005_fails.py").write_text(
        "from alembic import op\n"
        "import sqlalchemy as sa\n"
        "revision, down_revision, branch_labels, depends_on = '0005', '0004', None, None\n"
        "def upgrade():\n"
        "    op.add_column('trainings', sa.Column('half', sa.Integer))\n"
        "    op.execute('UPDATE trainings SET half = no_such_column')\n"
    )
    monkeypatch.setattr(migration, "MIGRATIONS", with_fault)
    monkeypatch.setattr(migration, "HEAD", "0005")
    monkeypatch.setattr(revision, "HEAD", "0005")

    with pytest.raises(CannotStart, match="as it was: start the release that wrote it") as refusal:
        open_database(f"sqlite:///{path}")

    assert "no_such_column" in str(refusal.value)
    assert schema_of(path) == before
    (copy,) = kept_copies(path)
    assert schema_of(copy) == before
    # With the fault mended the same start goes through.
    (with_fault / "versions" / "r0005_fails.py").write_text(
        (with_fault / "versions" / "r0005_fails.py").read_text().replace("no_such_column", "1")
    )
    open_database(f"sqlite:///{path}").dispose()
    assert revision_of(path) == "0005"


def test_a_database_of_a_newer_release_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "data" / "digits.db"
    open_database(f"sqlite:///{path}").dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9876'")
        connection.commit()
    before = path.read_bytes()
    environment = os.environ | {"DIGITS_DATA": str(path.parent), "DIGITS_PORT": "0", "DIGITS_MNIST_URL": ""}

    ended = subprocess.run(
        [sys.executable, "-m", "server"], env=environment, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 2
    assert f"is of a newer release: expected a revision up to {HEAD}, got 9876" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert path.read_bytes() == before


def test_the_last_few_copies_are_kept(old_database: Callable[[str], Path], tmp_path: Path) -> None:
    path = old_database("first")
    older = [
        path.with_name(f"digits.db.000{number}-2026010{number}T000000Z") for number in range(1, KEPT + 2)
    ]
    for copy in older:
        copy.touch()
    unrelated = path.with_name("digits.db.my-own-copy")
    unrelated.touch()

    open_database(f"sqlite:///{path}").dispose()

    kept = kept_copies(path)
    assert len(kept) == KEPT
    assert kept[0].name.startswith("digits.db.unversioned-")
    assert kept[1:] == older[:1:-1]
    assert unrelated.exists()


def test_nothing_is_migrated_where_no_copy_can_be_made(old_database: Callable[[str], Path]) -> None:
    path = old_database("second")
    before = schema_of(path)
    # A folder where the copy is to be: nobody can write a file of that name, not even root.
    for second in range(60):
        path.with_name(f"digits.db.unversioned-{_now():%Y%m%dT%H%M}{second:02d}Z").mkdir()
        path.with_name(f"digits.db.unversioned-{_soon():%Y%m%dT%H%M}{second:02d}Z").mkdir(exist_ok=True)

    with pytest.raises(CannotStart, match="no copy of it could be made first"):
        open_database(f"sqlite:///{path}")

    assert schema_of(path) == before


def test_a_start_without_anything_to_migrate_does_not_wait_for_alembic(tmp_path: Path) -> None:
    program = (
        "import sys; from server.database import open_database\n"
        "for _ in range(2): open_database(sys.argv[1]).dispose()\n"
        "sys.exit('alembic' in sys.modules)"
    )
    url = f"sqlite:///{tmp_path / 'digits.db'}"
    assert subprocess.run([sys.executable, "-c", program, url], timeout=60).returncode == 0


def _now() -> datetime:
    return datetime.now(UTC)


def _soon() -> datetime:
    return _now() + timedelta(minutes=1)
