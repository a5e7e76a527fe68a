"""The record of deployments, and the database that it is kept in."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from live_postgres import on_both, on_sqlite
from sqlalchemy import Engine, insert, select, text

from server.database import deployments, open_database
from server.errors import InvalidArgument
from server.models import DeploymentAction, Deployments

pytestmark = on_both


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


def test_nothing_is_deployed_at_first(database: Engine) -> None:
    record = Deployments(database)
    assert record.current() is None
    assert record.before() == ()
    assert record.list(0, 20) == ((), 0)


def test_the_version_deployed_last_is_the_current_one_after_a_restart(
    database: Engine, database_url: str
) -> None:
    Deployments(database).deploy(1, "first start")
    Deployments(database).deploy(3, "a person asked for it")
    database.dispose()

    again = open_database(database_url)
    assert Deployments(again).current() == 3
    again.dispose()


def test_the_list_tells_what_happened_when_and_why_newest_first(database: Engine) -> None:
    record = Deployments(database)
    before = datetime.now(UTC)
    record.deploy(1, "first start")
    record.deploy(2, "its training asked for it")
    record.deploy(1, "2 reads worse", is_rollback=True)
    record.delete(2, "not needed")

    entries, total = record.list(0, 20)
    assert [
        (entry.number, entry.model_version, entry.action, entry.cause, entry.previous_version)
        for entry in entries
    ] == [
        (4, 2, DeploymentAction.DELETED, "not needed", None),
        (3, 1, DeploymentAction.ROLLED_BACK, "2 reads worse", 2),
        (2, 2, DeploymentAction.DEPLOYED, "its training asked for it", 1),
        (1, 1, DeploymentAction.DEPLOYED, "first start", None),
    ]
    assert total == 4
    times = [entry.created for entry in reversed(entries)]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= datetime.now(UTC)


def test_the_list_comes_in_pages(database: Engine) -> None:
    record = Deployments(database)
    for version in (1, 2, 3):
        record.deploy(version, "")
    page, total = record.list(1, 1)
    assert ([entry.model_version for entry in page], total) == ([2], 3)
    # What answered before is told on every page alike.
    assert page[0].previous_version == 1


def test_to_deploy_what_is_deployed_changes_nothing(database: Engine) -> None:
    record = Deployments(database)
    record.deploy(1, "first start")
    record.deploy(1, "again")
    record.deploy(2, "another")
    record.deploy(1, "back")
    assert [entry.cause for entry in record.list(0, 20)[0]] == ["back", "another", "first start"]


def test_a_deletion_deploys_nothing(database: Engine) -> None:
    record = Deployments(database)
    record.deploy(2, "first start")
    record.delete(1, "not needed")
    assert record.current() == 2
    assert record.deleted() == {1}


def test_an_undeployment_is_in_the_list_and_what_is_deployed_after_it_takes_over_from_none(
    database: Engine,
) -> None:
    record = Deployments(database)
    record.deploy(1, "first start")
    record.deploy(2, "better")
    record.undeploy("asked for by RepositoryModelUnload")
    record.undeploy("asked for again")
    # The last one is still that which a new start would serve, and the one to go back to is still the first.
    assert (record.current(), record.before(), record.deleted()) == (2, (1,), frozenset())

    record.deploy(2, "asked for by RepositoryModelLoad")

    entries, total = record.list(0, 2)
    assert [(entry.model_version, entry.action, entry.previous_version) for entry in entries] == [
        (2, DeploymentAction.DEPLOYED, None),
        (2, DeploymentAction.UNDEPLOYED, None),
    ]
    assert total == 4
    assert record.before() == (1,)


def test_nothing_can_be_undeployed_before_the_first_deployment(database: Engine) -> None:
    record = Deployments(database)
    record.undeploy("by mistake")
    assert record.list(0, 20) == ((), 0)


def test_one_goes_back_to_what_answered_before_and_then_further(database: Engine) -> None:
    record = Deployments(database)
    for version in (1, 2, 3):
        record.deploy(version, "")
    assert record.before() == (2, 1)

    record.deploy(2, "3 reads worse", is_rollback=True)
    # Not to version 3, which was left for a reason.
    assert record.before() == (1,)
    record.deploy(1, "so does 2", is_rollback=True)
    assert record.before() == ()


def test_after_a_roll_back_a_new_version_lies_on_what_was_rolled_back_to(database: Engine) -> None:
    record = Deployments(database)
    for version in (1, 2):
        record.deploy(version, "")
    record.deploy(1, "2 reads worse", is_rollback=True)
    record.deploy(3, "better")
    assert record.before() == (1,)


def test_an_old_version_that_is_deployed_again_by_hand_can_be_left_again(database: Engine) -> None:
    record = Deployments(database)
    for version in (1, 2, 3):
        record.deploy(version, "")
    record.deploy(1, "to compare")
    assert record.before() == (3, 2)


def test_a_request_is_done_once_it_has_deployed_its_version(database: Engine) -> None:
    record = Deployments(database)
    assert not record.is_done("a", 1)
    record.deploy(1, "", request_id="a")
    assert record.is_done("a", 1)
    assert not record.is_done("b", 1)
    with pytest.raises(InvalidArgument, match="the one that deployed version 1"):
        record.is_done("a", 2)


def test_a_request_that_found_its_version_deployed_is_done_too(database: Engine) -> None:
    record = Deployments(database)
    record.deploy(1, "first start")
    record.deploy(1, "", request_id="a")
    assert record.is_done("a", 1)
    assert record.list(0, 20)[1] == 1


def test_the_rows_of_an_earlier_software_are_deployments_all(tmp_path: Path) -> None:
    path = tmp_path / "digits.db"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE deployments (number INTEGER PRIMARY KEY, model_version INTEGER NOT NULL, "
            "cause TEXT NOT NULL, created DATETIME NOT NULL)"
        )
        for version, cause in ((1, "first start"), (2, "asked for")):
            values = (version, cause, "2026-01-02 03:04:05.000000")
            old.execute("INSERT INTO deployments (model_version, cause, created) VALUES (?, ?, ?)", values)

    record = Deployments(open_database(f"sqlite:///{path}"))
    newest, oldest = record.list(0, 20)[0]
    assert (newest.action, newest.previous_version) == (DeploymentAction.DEPLOYED, 1)
    assert (oldest.action, oldest.previous_version) == (DeploymentAction.DEPLOYED, None)
    assert record.before() == (1,)


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


@on_sqlite
def test_a_writer_waits_for_another_one(database: Engine, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "digits.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()

    record = Deployments(database)
    record.deploy(1, "first start")
    assert record.current() == 1


@on_sqlite
def test_the_folder_of_a_database_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "digits.db"
    open_database(f"sqlite:///{path}").dispose()
    assert path.exists()


@on_sqlite
def test_the_database_keeps_a_write_ahead_log_and_checks_foreign_keys(database: Engine) -> None:
    with database.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
