"""PostgreSQL stops and comes back, and a server is killed amid its writes: nothing acknowledged is lost."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from digits.client import Client, ClientError
from digits.client.choices import TrainingState
from digits.client.records import TrainingOptions
from live_postgres import LivePostgres
from live_server import LiveServer
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import DBAPIError

from server.addresses import read_database_url
from server.config import CannotStart
from server.database import begin_durably, mislabelled, open_database
from server.database.postgresql import await_server, create_postgresql_engine
from server.errors import DatabaseUnreachable
from server.failures import refusal_of

PATIENCE_S = 120.0
# A training on a busy machine: TensorFlow alone takes seconds to import.
RUN_S = 600.0


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[LivePostgres]:
    """A server that may be stopped and killed; it runs when a test begins."""
    server = LivePostgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def url(own_postgres: LivePostgres) -> Iterator[str]:
    """Of an empty database, as DIGITS_DATABASE_URL takes it."""
    with own_postgres.database() as url:
        yield url


def mark(index: int) -> dict[str, Any]:
    return {"dataset": "mnist_test", "digit_index": index, "sha256": "", "created": datetime.now(UTC)}


def test_a_start_waits_for_a_server_that_is_starting(own_postgres: LivePostgres) -> None:
    own_postgres.stop()
    engine = create_postgresql_engine(read_database_url(own_postgres.admin_url))
    later = threading.Timer(1.0, own_postgres.start)
    later.start()
    await_server(engine, patience_s=PATIENCE_S)
    later.join()
    engine.dispose()


def test_calls_fail_while_the_server_is_away_and_go_on_by_themselves_when_it_is_back(
    own_postgres: LivePostgres, url: str
) -> None:
    database = open_database(read_database_url(url))
    with begin_durably(database) as connection:
        connection.execute(insert(mislabelled).values(mark(1)))
    own_postgres.crash()
    with pytest.raises(DBAPIError) as away, database.begin() as connection:
        connection.execute(insert(mislabelled).values(mark(2)))
    assert isinstance(refusal_of(away.value), DatabaseUnreachable)
    own_postgres.start()
    # At once: no connection of before is handed out.
    with database.begin() as connection:
        connection.execute(insert(mislabelled).values(mark(3)))
        assert connection.execute(select(mislabelled.c.digit_index)).scalars().all() == [1, 3]
    database.dispose()


def test_a_server_that_is_killed_amid_writes_has_every_sample_that_it_acknowledged(
    launch_server: Callable[..., LiveServer], url: str, seven_png: bytes
) -> None:
    server = launch_server(DIGITS_DATABASE_URL=url)
    with Client(server.address) as client:
        run = client.start_training("classic", TrainingOptions(epochs=20))
    acknowledged: list[str] = []
    is_writing = threading.Event()

    def add() -> None:
        with Client(server.address, retries=0) as client:
            while True:
                try:
                    acknowledged.append(client.add_sample(seven_png, 7).sample.sample_id)
                except ClientError:
                    return
                if len(acknowledged) >= 20:
                    is_writing.set()

    writers = [threading.Thread(target=add) for _ in range(3)]
    for writer in writers:
        writer.start()
    assert is_writing.wait(PATIENCE_S)
    server.kill()
    for writer in writers:
        writer.join(PATIENCE_S)
    server.start()
    with Client(server.address) as client:
        kept = {sample.sample_id for page in pages(client) for sample in page}
        assert client.get_training(run.training_id).state in (TrainingState.QUEUED, TrainingState.RUNNING)
        assert client.cancel_training(run.training_id).state is TrainingState.CANCELLED
    assert set(acknowledged) <= kept
    # One at most that each was not told of.
    assert len(kept) <= len(acknowledged) + len(writers)
    assert server.stop() == 0


def pages(client: Client) -> Iterator[Any]:
    """All samples, a page at a time."""
    token = ""
    while True:
        page = client.list_samples(page_token=token)
        yield page.samples
        if not (token := page.next_page_token):
            return


def metrics(server: LiveServer) -> str:
    """What its monitoring tells."""
    serving = server.event("serving")
    assert serving is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{serving['metrics_port']}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def test_while_postgresql_is_away_predictions_go_on_and_the_rest_is_told_to_come_back(
    launch_server: Callable[..., LiveServer], own_postgres: LivePostgres, url: str, seven_png: bytes
) -> None:
    server = launch_server(DIGITS_DATABASE_URL=url, DIGITS_METRICS_PORT="0")
    assert "digits_trainings{" in metrics(server)
    with Client(server.address, retries=0) as client:
        client.add_sample(seven_png, 7)
        own_postgres.crash()
        assert client.predict(seven_png).prediction.digit == 7
        calls: list[Callable[[], Any]] = [
            lambda: client.add_sample(seven_png, 7),
            client.list_samples,
            client.list_trainings,
            client.list_models,
            client.list_deployments,
            lambda: client.start_training("classic"),
            lambda: client.deploy_model(1),
        ]
        for call in calls:
            with pytest.raises(ClientError) as refused:
                call()
            assert refused.value.reason == "DATABASE_UNREACHABLE", refused.value
        assert "digits_disk_free_bytes" in metrics(server)
        assert "digits_trainings{" not in metrics(server)
        own_postgres.start()
        assert client.add_sample(seven_png, 7).total_size == 2
    until(lambda: server.event("database back") is not None)
    assert server.event("database lost") is not None
    assert server.event("bug") is None
    assert server.stop() == 0


def test_a_server_that_was_overtaken_while_it_was_cut_off_ends_itself_in_order(
    launch_server: Callable[..., LiveServer], url: str
) -> None:
    server = launch_server(DIGITS_DATABASE_URL=url)
    second = overtake(url)
    until(lambda: not server.is_running)
    taken = server.event("database taken over")
    assert taken is not None
    assert "the server at 10.0.0.8:50051 (process " in str(taken["by"])
    assert server.stop() == 0
    second.dispose()


def overtake(url: str) -> Engine:
    """Begin on a database of a server, whose connection is cut for a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            )
        try:
            return open_database(read_database_url(url), owner="10.0.0.8:50051")
        except CannotStart:
            # It was quicker to lock it again.
            assert time.monotonic() < deadline


def test_a_run_that_ends_while_postgresql_is_away_has_succeeded_when_it_is_back(
    launch_server: Callable[..., LiveServer], own_postgres: LivePostgres, url: str
) -> None:
    server = launch_server(DIGITS_DATABASE_URL=url)
    with Client(server.address) as client:
        run = client.start_training("classic", TrainingOptions(epochs=1), deploy_when_done=True).training_id
        until(lambda: client.get_training(run).state is TrainingState.RUNNING)
        own_postgres.stop()
        # Its version is there, and nothing can be noted of it.
        until((server.data / "models" / "000002").exists, RUN_S)
        until(lambda: server.event("database lost") is not None)
        own_postgres.start()
        until(lambda: client.get_training(run).state is not TrainingState.RUNNING)
        ended = client.get_training(run)
    assert (ended.state, ended.model_version, ended.failure_reason) == (TrainingState.SUCCEEDED, 2, "")
    assert ended.gate is not None
    assert server.stop() == 0


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait for it."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
