"""The record of deployments, and the database that it is kept in."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text

from server.database import deployments, open_database
from server.models import Deployments


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new' / 'folder' / 'digits.db'}"


@pytest.fixture
def database(url: str) -> Engine:
    return open_database(url)


def test_nothing_is_deployed_at_first(database: Engine) -> None:
    assert Deployments(database).current() is None
    assert Deployments(database).history() == ()


def test_the_version_deployed_last_is_the_current_one_after_a_restart(database: Engine, url: str) -> None:
    Deployments(database).deploy(1, "first start")
    Deployments(database).deploy(3, "a person asked for it")
    database.dispose()

    assert Deployments(open_database(url)).current() == 3


def test_the_history_tells_when_and_why_newest_first(database: Engine) -> None:
    record = Deployments(database)
    before = datetime.now(UTC)
    record.deploy(1, "first start")
    record.deploy(2, "its training asked for it")

    newest, oldest = record.history()
    assert (newest.model_version, newest.cause) == (2, "its training asked for it")
    assert (oldest.model_version, oldest.cause) == (1, "first start")
    assert before <= oldest.created <= newest.created <= datetime.now(UTC)
    assert record.history(limit=1) == (newest,)


def test_to_deploy_what_is_deployed_changes_nothing(database: Engine) -> None:
    record = Deployments(database)
    first = record.deploy(1, "first start")
    assert record.deploy(1, "again") == first
    record.deploy(2, "another")
    record.deploy(1, "back")
    assert [one.cause for one in record.history()] == ["back", "another", "first start"]


def test_a_time_of_any_zone_comes_back_as_the_same_moment_in_utc(database: Engine) -> None:
    moment = datetime(2026, 5, 6, 1, 2, 3, 4, timezone(timedelta(hours=5)))
    with database.begin() as connection:
        connection.execute(insert(deployments).values(model_version=1, cause="", created=moment))
        stored = connection.execute(select(deployments.c.created)).scalar_one()
    assert stored == moment
    assert stored.utcoffset() == timedelta(0)


def test_readers_go_on_while_somebody_writes(database: Engine) -> None:
    record = Deployments(database)
    record.deploy(1, "first start")
    with database.begin() as writer:
        writer.execute(insert(deployments).values(model_version=2, cause="", created=datetime.now(UTC)))
        assert record.current() == 1
    assert record.current() == 2


def test_a_writer_waits_for_another_one(database: Engine, tmp_path: Path) -> None:
    other = sqlite3.connect(
        tmp_path / "new" / "folder" / "digits.db", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()

    assert Deployments(database).deploy(1, "first start").model_version == 1


def test_the_database_keeps_a_write_ahead_log_and_checks_foreign_keys(database: Engine) -> None:
    with database.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
