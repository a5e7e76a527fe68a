"""The same tables on PostgreSQL: made, migrated, refused, and what its server's troubles are told as."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from live_postgres import PASSWORD, LivePostgres, on_both, on_postgresql
from sqlalchemy import Connection, Engine, create_engine, insert, inspect, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from server.addresses import read_database_url
from server.config import CannotStart
from server.database import (
    HEAD,
    begin_durably,
    begin_reading,
    deployments,
    metadata,
    migration,
    mislabelled,
    open_database,
    revision,
    trainings,
)
from server.database.postgresql import await_server, create_postgresql_engine
from server.errors import DatabaseBusy, DatabaseDamaged, DatabaseUnreachable, DigitsError, DiskFull
from server.failures import refusal_of

pytestmark = on_postgresql
EARLIER = sorted(one.revision for one in ScriptDirectory(str(migration.MIGRATIONS)).walk_revisions())[:-1]


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


def differences(engine: Engine) -> list[Any]:
    """What would have to change for the tables to be those of the code."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return compare_metadata(context, metadata)


def revision_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return revision.read_revision(connection)


def mark(index: int = 0) -> dict[str, Any]:
    return {"dataset": "mnist_test", "digit_index": index, "sha256": "", "created": datetime.now(UTC)}


def test_a_new_database_has_the_tables_of_the_code_and_is_opened_again_as_it_is(
    database: Engine, database_url: str
) -> None:
    assert differences(database) == []
    again = open_database(database_url)
    assert revision_of(again) == HEAD
    again.dispose()


@pytest.mark.parametrize("start", EARLIER)
def test_from_every_revision_the_migrations_lead_to_the_tables_of_the_code(
    start: str, database_url: str
) -> None:
    engine = create_engine(database_url)
    with revision.begin_exclusively(engine) as connection:
        migration.upgrade(connection, start)
        # As of then: the tables of the code may have more columns.
        columns, values = "model_version, cause, created", "1, 'long ago', '2026-01-02'"
        connection.execute(text(f"INSERT INTO deployments ({columns}) VALUES ({values})"))
    assert revision_of(engine) == start
    engine.dispose()

    database = open_database(database_url)

    assert (revision_of(database), differences(database)) == (HEAD, [])
    with database.connect() as connection:
        (row,) = connection.execute(select(deployments)).all()
    assert (row.number, row.cause, row.created) == (1, "long ago", datetime(2026, 1, 2, tzinfo=UTC))
    database.dispose()


@pytest.mark.parametrize("start", [None, EARLIER[0]])
def test_servers_that_start_at_once_make_or_migrate_the_tables_once(
    start: str | None, database_url: str
) -> None:
    if start:
        engine = create_engine(database_url)
        with revision.begin_exclusively(engine) as connection:
            migration.upgrade(connection, start)
        engine.dispose()
    together = threading.Barrier(4)

    def open_it(_: int) -> Engine:
        together.wait(60)
        return open_database(database_url)

    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(open_it, range(4)))
    assert differences(opened[0]) == []
    with opened[0].connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]
    for engine in opened:
        engine.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_database(database_url).dispose()
    with_fault = tmp_path / "migrations"
    shutil.copytree(migration.MIGRATIONS, with_fault)
    (with_fault / "versions" / "r9999_fails.py").write_text(
        "from alembic import op\n"
        "import sqlalchemy as sa\n"
        f"revision, down_revision, branch_labels, depends_on = '9999', '{HEAD}', None, None\n"
        "def upgrade():\n"
        "    op.add_column('trainings', sa.Column('half', sa.Integer))\n"
        "    op.execute('UPDATE trainings SET half = no_such_column')\n"
    )
    monkeypatch.setattr(migration, "MIGRATIONS", with_fault)
    monkeypatch.setattr(migration, "HEAD", "9999")
    monkeypatch.setattr(revision, "HEAD", "9999")

    with pytest.raises(CannotStart, match="it is as it was") as refusal:
        open_database(database_url)

    assert "no_such_column" in str(refusal.value)
    engine = create_engine(database_url)
    assert revision_of(engine) == HEAD
    assert "half" not in {column["name"] for column in inspect(engine).get_columns("trainings")}
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("CREATE TABLE samples (id integer)", "they are somebody else's; choose a database of its own"),
        (
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('9876')",
            f"is of a newer release: expected a revision up to {HEAD}, got 9876",
        ),
    ],
)
def test_tables_of_somebody_else_and_of_a_newer_release_are_refused_and_not_touched(
    statement: str, told: str, database_url: str
) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    before = inspect(engine).get_table_names()

    with pytest.raises(CannotStart, match=r"the database postgresql://127\.0\.0\.1") as refusal:
        open_database(database_url)

    assert told in str(refusal.value)
    assert inspect(engine).get_table_names() == before
    engine.dispose()


def test_a_database_that_is_not_in_utf_8_is_refused(postgres: LivePostgres) -> None:
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(CannotStart, match="expected a database in UTF-8, got one in LATIN1"):
        open_database(read_database_url(postgres.url("latin")))


def test_a_database_that_cannot_be_reached_is_told_in_one_sentence_without_its_password(
    dead_address: str, postgres: LivePostgres
) -> None:
    away = f"postgresql://lab:{PASSWORD.replace('@', '%40').replace('/', '%2F').replace(':', '%3A')}"
    wrong = postgres.url("digits").replace("lab:", "nobody:")
    reasons = {f"{away}@{dead_address}/digits": "refused", wrong: "password authentication failed"}
    for url, reason in reasons.items():
        engine = create_postgresql_engine(read_database_url(url))
        with pytest.raises(CannotStart) as refusal:
            await_server(engine, patience_s=0)
        assert str(refusal.value).startswith("DIGITS_DATABASE_URL: postgresql://127.0.0.1:")
        assert reason in str(refusal.value)
        assert "\n" not in str(refusal.value)
        assert "p@ss" not in str(refusal.value)


def test_what_must_outlast_a_power_cut_waits_for_the_disk_and_nothing_else_does(database: Engine) -> None:
    def setting(connection: Connection) -> str:
        return str(connection.exec_driver_sql("SHOW synchronous_commit").scalar())

    with begin_durably(database) as connection:
        assert setting(connection) == "on"
    with database.begin() as connection:
        assert setting(connection) == "off"

    def fail() -> None:
        with begin_durably(database) as connection:
            connection.execute(insert(mislabelled).values(mark()))
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    with database.connect() as connection:
        assert setting(connection) == "off"
        assert connection.execute(select(mislabelled)).first() is None


@on_both
def test_a_reader_sees_one_instant_whatever_is_written_meanwhile(database: Engine) -> None:
    with begin_reading(database) as reading:
        assert reading.execute(select(mislabelled)).all() == []
        with database.begin() as writing:
            writing.execute(insert(mislabelled).values(mark()))
        assert reading.execute(select(mislabelled)).all() == []
    with begin_reading(database) as reading:
        assert len(reading.execute(select(mislabelled)).all()) == 1


@on_both
def test_text_with_any_character_is_kept_and_found(database: Engine) -> None:
    for name in ("nul\0within", "Zürich ✍ 七", 'it\'s %s \\ "quoted"', "UPPER", "upper"):
        change = row_of(name)
        with database.begin() as connection:
            connection.execute(insert(trainings).values(change))
        with database.connect() as connection:
            found = (
                connection.execute(select(trainings.c.recipe).where(trainings.c.id == name)).scalars().all()
            )
        assert found == ["classic"], name
    with database.connect() as connection:
        assert connection.execute(select(trainings.c.id).where(trainings.c.id == "no\0ne")).first() is None


def row_of(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "recipe": "classic",
        "options": {"text": name},
        "state": "queued",
        "deploy_when_done": False,
        "created": datetime.now(UTC),
        "history": [],
        "failure_reason": name,
    }


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, DatabaseUnreachable),
        ("57P01", DatabaseUnreachable),
        ("57P03", DatabaseUnreachable),
        ("08006", DatabaseUnreachable),
        ("25006", DatabaseUnreachable),
        ("58030", DatabaseUnreachable),
        ("57014", DatabaseBusy),
        ("40P01", DatabaseBusy),
        ("55P03", DatabaseBusy),
        ("53300", DatabaseBusy),
        ("53100", DiskFull),
        ("XX001", DatabaseDamaged),
    ],
)
def test_errors_of_postgresql_are_told_by_what_they_mean(code: str | None, told: type[DigitsError]) -> None:
    fault = psycopg.OperationalError("in PostgreSQL's words")
    fault.sqlstate = code
    wrapped = OperationalError("INSERT", {}, fault)
    wrapped.__cause__ = fault
    assert type(refusal_of(wrapped)) is told


def test_no_connection_in_time_is_a_busy_database_and_a_bug_remains_one() -> None:
    assert isinstance(refusal_of(NoConnectionFree()), DatabaseBusy)
    assert refusal_of(psycopg.ProgrammingError("a bug in a query")) is None
    assert refusal_of(psycopg.errors.UniqueViolation("twice")) is None
    assert refusal_of(psycopg.errors.UndefinedTable("none")) is None


def test_a_server_on_sqlite_neither_imports_nor_needs_any_of_it(tmp_path: Path) -> None:
    program = (
        "import sys; from server.database import open_database\n"
        "open_database(sys.argv[1], owner='a:1').dispose()\n"
        "sys.exit('psycopg' in sys.modules or 'server.database.ownership' in sys.modules)"
    )
    url = f"sqlite:///{tmp_path / 'digits.db'}"
    assert subprocess.run([sys.executable, "-c", program, url], timeout=60).returncode == 0
