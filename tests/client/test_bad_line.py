"""A client over a bad line to a real socket: far away, silent, well again. The whole of it: make torture."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from digits.client import Client, ServerUnavailable
from digits.v1 import model_pb2, training_pb2
from live_proxy import CLEAR, SILENT, Door, Proxy, Weather

PATIENCE_S = 60.0


def answer(arrived: Any, context: Any) -> Iterator[Any]:
    """What the stand-in says: a run that goes on for ever; a version."""
    if arrived.path.endswith("WatchTraining"):
        yield training_pb2.WatchTrainingResponse(training={"training_id": "run"})
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(2 * PATIENCE_S)
    else:
        yield model_pb2.GetModelResponse(model={"model_version": 7})


@pytest.fixture
def line(stand_in: Any) -> Iterator[Proxy]:
    """The line to a server that answers."""
    with Proxy(stand_in(answer).port) as proxy:
        yield proxy


def test_a_server_at_the_far_end_of_a_slow_line_is_reached(line: Proxy) -> None:
    # To connect takes 1.4 s of travelling alone.
    line.change(Weather(delay_s=0.7))

    with Client(line.address) as client:
        assert client.get_model(timeout_s=PATIENCE_S).model_version == 7


def test_who_accepts_and_never_answers_is_given_up_and_the_next_attempt_succeeds(line: Proxy) -> None:
    line.change(Weather(door=Door.DEAF))
    with Client(line.address) as client:
        with pytest.raises(ServerUnavailable) as slow:
            client.get_model(timeout_s=1)
        assert slow.value.is_slow
        line.change(CLEAR)

        assert client.get_model(timeout_s=PATIENCE_S).model_version == 7


def test_a_server_that_falls_silent_is_noticed_long_before_the_deadline_of_a_stream(line: Proxy) -> None:
    with Client(line.address, retries=0) as client:
        following = client.watch_training("run")
        next(following)
        line.change(SILENT)
        began = time.monotonic()

        with pytest.raises(ServerUnavailable) as lost:
            next(following)

        assert not lost.value.is_slow
        assert time.monotonic() - began < PATIENCE_S


def test_a_connection_that_died_unnoticed_is_not_used_for_long(line: Proxy) -> None:
    with Client(line.address) as client:
        client.get_model()
        # As behind a router that lost its table: nobody is told, and what is sent goes nowhere.
        line.forget_all()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                assert client.get_model(timeout_s=1).model_version == 7
                break
            except ServerUnavailable:
                assert time.monotonic() < deadline, "it still waits for a dead connection"
