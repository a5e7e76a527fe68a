"""Nonsense at the port of the metrics: no requests, endless headers, and many who say hardly anything."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import time

# Connections that are kept open at once, far more than a server should have threads for.
SILENT = 150
MORE_THREADS = 40
SCRAPE_S = 120.0


def odd(chance: random.Random) -> bytes:
    """Bytes that are no request for the metrics, or hardly one."""
    fixed = (
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 200_000,
        b"GET /metrics?" + b"%00" * 500 + b" HTTP/1.0\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.0\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\nAccept: " + b"*/*;q=nan," * 300 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    )
    data = bytearray(chance.choice(fixed))
    if data and chance.random() < 0.4:
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data) if chance.random() < 0.9 else chance.randbytes(400)


def send(port: int, data: bytes) -> bytes:
    """What is answered, in the end."""
    answer = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while len(answer) < 2**20 and (got := connection.recv(65536)):
            answer += got
    return answer


def scrape(port: int) -> float:
    """How long the metrics take to come, in seconds. Raises OSError, or AssertionError, when they do not."""
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SCRAPE_S)
    try:
        connection.request("GET", "/metrics")
        assert b"digits_model_version" in connection.getresponse().read()
    finally:
        connection.close()
    return time.monotonic() - started


def hold_open(port: int, for_s: float) -> list[socket.socket]:
    """Open many connections that send a letter now and then, for a while; they are open still."""
    held = []
    for _ in range(SILENT):
        with contextlib.suppress(OSError):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=20))
    for letter in b"GET /met":
        for one in held:
            with contextlib.suppress(OSError):
                one.send(bytes([letter]))
        time.sleep(for_s / 8)
    return held
