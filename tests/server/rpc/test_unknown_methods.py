"""Calls of methods that nobody has, whatever they are called, and calls that never send their request."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from digits.v1 import model_pb2, prediction_pb2

PREDICT = "/digits.v1.PredictionService/Predict"
READ = "/digits.v1.PredictionService/ReadNumber"
DIGIT = prediction_pb2.PredictRequest(image=prediction_pb2.Image(pixels=bytes(392) + b"\xff" * 392))
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PATIENCE_S = 60.0


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def called(port: int, path: bytes) -> bytes:
    """What a server sends on a new connection for a call of a path that no gRPC library would send."""
    pairs = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
    block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in pairs)
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"\0\1\0\0\0\0"))
        connection.sendall(frame(SETTINGS, ACK, 0, b""))
        connection.sendall(frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, END_STREAM, 1, bytes(5)))
        while b"grpc-status" not in received and (data := connection.recv(65536)):
            received += data
    return received


@pytest.mark.parametrize(
    "path", [b"/\xff\xfe", b"/digits.v1.PredictionService/Pr\xe9dict", b"/x/\xed\xa0\x80"]
)
def test_a_path_that_is_no_text_is_refused_and_the_server_goes_on(
    live_server: Any, stubs_of: Callable[[Any], Any], path: bytes
) -> None:
    # 12: UNIMPLEMENTED. A later call on another connection: gRPC's own server would take up no more.
    for _ in range(2):
        assert b"grpc-status\x0212" in called(live_server.port, path)
    stubs = stubs_of(live_server)
    assert stubs.prediction.Predict(DIGIT, timeout=20).model_version
    assert stubs.model.ListModels(model_pb2.ListModelsRequest(), timeout=20).models


@pytest.mark.parametrize("name", ["/x/y", "/digits.v1.PredictionService/Guess", "/" + "x" * 5000])
def test_a_method_that_nobody_has_is_unknown(live_server: Any, name: str) -> None:
    with live_server.channel() as channel, pytest.raises(grpc.RpcError) as ended:
        channel.unary_unary(name)(b"", timeout=20)
    assert ended.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "reflection lists those there are" in ended.value.details() or len(name) > 600


def test_a_server_with_such_calls_behind_it_ends_in_order(launch_server: Any) -> None:
    server = launch_server(DIGITS_MNIST="")
    called(server.port, b"/\xff")
    assert server.stop() == 0


@pytest.mark.parametrize("path", [PREDICT, READ])
def test_calls_that_never_send_their_request_keep_nobody_out(live_server: Any, path: str) -> None:
    is_over = threading.Event()

    def never() -> Iterator[bytes]:
        is_over.wait(PATIENCE_S)
        yield from ()

    with live_server.channel() as silent, live_server.channel() as channel:
        held = [silent.stream_stream(path)(never()) for _ in range(200)]
        predict = channel.unary_unary(PREDICT)
        # So many that the others would be too many, if they were counted.
        for _ in range(40):
            calls = [predict.future(DIGIT.SerializeToString(), timeout=PATIENCE_S) for _ in range(20)]
            assert {call.code() for call in calls} == {grpc.StatusCode.OK}
        is_over.set()
        for one in held:
            one.cancel()
