"""Without an address a Ray of its own is started. Its predictors are as many as there is work for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import psutil
import pytest
from digits.client import Client
from digits.v1 import model_pb2
from live_server import LiveServer
from PIL import Image

# HTTP/2 as it begins: the preface, no settings of one's own, those of the server taken note of.
HELLO = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    + bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])
)
PING = 6
PATIENCE_S = 60.0
# Twice what one predictor is to have at a time, and so many that the ingress refuses none.
CALLERS = 24


class OwnRay(LiveServer):
    """`python -m server.cluster` on this machine alone."""

    MODULE = "server.cluster"

    def processes(self) -> list[psutil.Process]:
        """All that it has started, and what they have."""
        return psutil.Process(self.pid).children(recursive=True)

    def predictors(self) -> int:
        """How many answer predictions."""
        found = 0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                found += "ServeReplica:digits:Predictors" in " ".join(process.cmdline())
        return found


@pytest.fixture(scope="module")
def own_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRay]:
    """One for the tests here, the last of which ends it."""
    folder = tmp_path_factory.mktemp("own_ray")
    server = OwnRay(folder / "data", folder / "log", DIGITS_MNIST="", DIGITS_RAY_REPLICAS="1-2")
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def silent(own_ray: OwnRay) -> Iterator[socket.socket]:
    """A connection that has begun, and says nothing more."""
    with socket.create_connection(("127.0.0.1", own_ray.port), PATIENCE_S) as connection:
        connection.sendall(HELLO)
        yield connection


def picture() -> bytes:
    """A file that takes a predictor longer than its ingress."""
    sheet, file = Image.new("L", (560, 560), "white"), BytesIO()
    sheet.paste("black", (250, 80, 310, 480))
    sheet.save(file, "PNG")
    return file.getvalue()


def test_it_serves(own_ray: OwnRay, silent: socket.socket) -> None:
    assert any("raylet" in process.name() for process in own_ray.processes())
    with own_ray.channel() as channel:
        get = channel.unary_unary(
            "/digits.v1.ModelService/GetModel", response_deserializer=model_pb2.GetModelResponse.FromString
        )
        assert get(b"", timeout=60).model.is_deployed


def test_a_predictor_is_added_while_there_is_work_for_two(own_ray: OwnRay, until: Callable[..., Any]) -> None:
    file, is_over, faults = picture(), threading.Event(), []

    def work() -> None:
        try:
            with Client(own_ray.address, retries=20) as client:
                while not is_over.is_set():
                    client.predict(file)
        except Exception as fault:
            faults.append(fault)

    assert own_ray.predictors() == 1
    callers = [threading.Thread(target=work) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        until(lambda: own_ray.predictors() == 2, "no predictor is added")
    finally:
        is_over.set()
        for caller in callers:
            caller.join()
    assert faults == []


def test_who_says_nothing_is_asked_whether_he_is_there(silent: socket.socket) -> None:
    """After ten seconds, which the test before this one takes; gRPC alone would ask after two hours."""
    with silent.makefile("rb") as frames:
        kind = None
        while kind != PING:
            head = frames.read(9)
            assert head, "the ingress has ended the connection"
            kind = head[3]
            frames.read(int.from_bytes(head[:3], "big"))


def test_it_ends_with_the_program(own_ray: OwnRay) -> None:
    started = own_ray.processes()
    assert own_ray.stop(timeout_s=120) == 0
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []
