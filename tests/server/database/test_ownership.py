"""One server for a PostgreSQL database: the second is refused, and one that was overtaken writes nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from live_postgres import on_postgresql
from sqlalchemy import Connection, Engine, create_engine, event, insert, select, text

from server.config import CannotStart
from server.database import begin_durably, begin_reading, mislabelled, open_database, ownership
from server.database.ownership import LOCK, OwnedByAnother, own
from server.errors import DatabaseUnreachable
from server.failures import refusal_of

pytestmark = on_postgresql
PATIENCE_S = 60.0

# Opens a database as a server does, says so, and waits to be killed.
OWNER = """
import sys, time
from server.database import open_database

database = open_database(sys.argv[1], owner="10.0.0.7:50051")
print("open", flush=True)
time.sleep(600)
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """With its tables, and nobody's yet."""
    opened = open_database(database_url)
    yield opened
    opened.dispose()


def sessions(engine: Engine) -> list[int]:
    """The processes of PostgreSQL's that hold the lock."""
    query = text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = :low")
    with engine.connect() as connection:
        return list(connection.execute(query, {"low": LOCK & 0xFFFFFFFF}).scalars())


def write(database: Engine, index: int) -> None:
    values = {"dataset": "mnist_test", "digit_index": index, "sha256": "", "created": datetime.now(UTC)}
    with begin_durably(database) as connection:
        connection.execute(insert(mislabelled).values(values))


def written(database: Engine) -> list[int]:
    with database.connect() as connection:
        return list(connection.execute(select(mislabelled.c.digit_index).order_by("digit_index")).scalars())


def test_a_second_server_is_refused_and_told_who_the_first_one_is_until_that_is_killed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = subprocess.Popen([sys.executable, "-c", OWNER, database_url], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"
        with monkeypatch.context() as patch:
            patch.setattr(ownership, "PATIENCE_S", 0.2)
            with pytest.raises(CannotStart) as refusal:
                open_database(database_url, owner="10.0.0.8:50051")
        assert "is in use by the server at 10.0.0.7:50051 (process " in str(refusal.value)
        assert f"(process {first.pid} on " in str(refusal.value)
    finally:
        first.kill()
        first.wait()
    # Its connection ends with it: nobody has to clear anything up.
    open_database(database_url, owner="10.0.0.8:50051").dispose()


def test_a_database_is_free_again_with_the_end_of_its_engine(database_url: str) -> None:
    for _ in range(2):
        opened = open_database(database_url, owner="a:1")
        assert len(sessions(opened)) == 1
        opened.dispose()


def test_a_server_whose_connection_was_cut_takes_the_lock_again_and_writes_on(database: Engine) -> None:
    taken = threading.Event()
    own(database, "a:1", on_taken=taken.set)
    (before,) = sessions(database)
    with database.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": before})
    write(database, 1)
    deadline = time.monotonic() + PATIENCE_S
    while sessions(database) in ([], [before]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    write(database, 2)
    assert written(database) == [1, 2]
    assert not taken.is_set()


def test_a_fault_that_only_the_driver_knows_does_not_end_the_watch(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(database, "a:1", on_taken=threading.Event().set)
    (before,) = sessions(database)
    connect, failed = ownership._Owner._connect, []

    def fails_once(owner: ownership._Owner) -> Connection:
        if not failed:
            failed.append(True)
            raise psycopg.OperationalError("cut as it was made")
        return connect(owner)

    monkeypatch.setattr(ownership._Owner, "_connect", fails_once)
    with database.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": before})
    deadline = time.monotonic() + PATIENCE_S
    while not failed or sessions(database) in ([], [before]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    write(database, 1)
    assert written(database) == [1]


def test_a_server_that_was_overtaken_commits_nothing_more_and_is_told_to_end(
    database: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It notices late; that must not matter.
    monkeypatch.setattr(ownership, "LOOK_EVERY_S", 3.0)
    taken = threading.Event()
    own(database, "a:1", on_taken=taken.set)
    write(database, 1)
    (before,) = sessions(database)
    with create_engine(database_url).connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": before})
    second = open_database(database_url, owner="b:1")

    with pytest.raises(OwnedByAnother) as overtaken:
        write(database, 2)
    write(second, 3)

    assert isinstance(refusal_of(overtaken.value) or overtaken.value, DatabaseUnreachable)
    assert overtaken.value.reason == "DATABASE_UNREACHABLE"
    assert written(second) == [1, 3]
    # What is there may still be read.
    with begin_reading(database) as connection:
        assert len(connection.execute(select(mislabelled)).all()) == 2
    assert taken.wait(PATIENCE_S)
    second.dispose()


def test_a_server_that_begins_waits_for_what_the_one_before_is_committing(
    database: Engine, database_url: str
) -> None:
    own(database, "a:1", on_taken=lambda: None)
    (before,) = sessions(database)
    is_committing, may_end = threading.Event(), threading.Event()

    # After the fence, before the commit itself.
    def hold(_: object) -> None:
        is_committing.set()
        may_end.wait(PATIENCE_S)

    event.listen(database, "commit", hold)
    writer = threading.Thread(target=write, args=(database, 1))
    writer.start()
    assert is_committing.wait(PATIENCE_S)
    with create_engine(database_url).connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": before})
    opened: list[Engine] = []
    beginner = threading.Thread(target=lambda: opened.append(open_database(database_url, owner="b:1")))
    beginner.start()
    beginner.join(1.0)
    assert opened == []
    may_end.set()
    writer.join(PATIENCE_S)
    beginner.join(PATIENCE_S)
    assert written(opened[0]) == [1]
    opened[0].dispose()
