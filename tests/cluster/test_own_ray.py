"""Without an address a Ray of its own is started, and ends with the program."""

from __future__ import annotations

from pathlib import Path

import psutil
from digits.v1 import model_pb2
from live_server import LiveServer


class OwnRay(LiveServer):
    """`python -m server.cluster` on this machine alone."""

    MODULE = "server.cluster"


def test_a_ray_of_its_own_serves_and_ends_with_the_program(tmp_path: Path) -> None:
    server = OwnRay(tmp_path / "data", tmp_path / "log", DIGITS_MNIST="", DIGITS_RAY_REPLICAS="1")
    try:
        server.start()
        started = psutil.Process(server.pid).children(recursive=True)
        assert any("raylet" in process.name() for process in started)
        with server.channel() as channel:
            get = channel.unary_unary(
                "/digits.v1.ModelService/GetModel",
                response_deserializer=model_pb2.GetModelResponse.FromString,
            )
            assert get(b"", timeout=60).model.is_deployed
        assert server.stop(timeout_s=120) == 0
        _, alive = psutil.wait_procs(started, timeout=60)
        assert alive == []
    finally:
        server.close()
