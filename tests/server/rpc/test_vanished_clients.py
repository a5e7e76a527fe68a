"""Clients that are gone without a word: what they held on the server is let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import psutil
from digits.v1 import prediction_pb2, prediction_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from live_proxy import SILENT, Proxy

# The server notices within 20 s; the rest is for a busy machine.
PATIENCE_S = 90.0
DIGIT = bytes(200) + bytes([255] * 200) + bytes(384)


def connections(server: Any) -> int:
    """How many clients are connected to a server, as its kernel sees it."""
    found = psutil.Process(server.pid).net_connections("tcp")
    return sum(one.laddr.port == server.port and one.status == psutil.CONN_ESTABLISHED for one in found)


def test_the_connections_and_streams_of_clients_that_fell_silent_are_ended(live_server: Any) -> None:
    before = connections(live_server)
    gone = threading.Event()

    def hesitant() -> Iterator[prediction_pb2.StreamPredictRequest]:
        yield prediction_pb2.StreamPredictRequest(image=prediction_pb2.Image(pixels=DIGIT))
        gone.wait(2 * PATIENCE_S)

    # They hold no keep-alive of their own: it is the server that has to notice.
    with Proxy(live_server.port) as line, grpc.insecure_channel(line.address) as one:
        predicted = prediction_pb2_grpc.PredictionServiceStub(one).StreamPredict(hesitant())
        assert next(predicted).prediction.probabilities
        watched = health_pb2_grpc.HealthStub(one).Watch(health_pb2.HealthCheckRequest())
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        assert connections(live_server) > before

        line.change(SILENT)
        line.forget_all()

        deadline = time.monotonic() + PATIENCE_S
        while connections(live_server) > before:
            assert time.monotonic() < deadline, "the server still holds the connection"
            time.sleep(0.1)
        gone.set()
