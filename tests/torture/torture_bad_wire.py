"""Bytes on the port that no gRPC library sends: noise, other protocols, HTTP/2 that breaks off or its rules.

HTTP/2: RFC 9113. Its headers: RFC 7541, of which only literals are written, and read. gRPC over it:
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
# With an empty table of headers the server tells everything in full.
QUIET = struct.pack(">HI", 1, 0)
ANSWER_S = 2.0

Pairs = Sequence[tuple[bytes, bytes]]


def frame(kind: int, flags: int, stream: int, payload: bytes, length: int | None = None) -> bytes:
    """A frame, which may say another length than it has."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(pairs: Pairs) -> bytes:
    """A block of headers, each in full."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in pairs)


def request(
    path: bytes, *more: tuple[bytes, bytes], leave_out: Iterable[bytes] = ()
) -> list[tuple[bytes, bytes]]:
    """The headers of a call, without some and with others."""
    usual = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
    changed = {name for name, _ in more} | set(leave_out)
    return [pair for pair in usual if pair[0] not in changed] + list(more)


def message(data: bytes, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC message, which may say another length than it has."""
    return bytes([flag]) + struct.pack(">I", len(data) if length is None else length) + data


def opening() -> bytes:
    """How a connection begins."""
    return PREFACE + frame(SETTINGS, 0, 0, QUIET)


def call(pairs: Pairs, body: bytes, stream: int = 1) -> bytes:
    """A whole call."""
    return frame(HEADERS, END_HEADERS, stream, headers(pairs)) + frame(DATA, END_STREAM, stream, body)


class Wire:
    """Connections to a port, each of one kind of nonsense, chosen by a seed."""

    def __init__(self, port: int, path: str, good: bytes, seed: int) -> None:
        """`path` and `good`: a method, and a request that it answers."""
        self._port = port
        self._path = f"/{path}".encode()
        self._good = good
        self._chance = random.Random(f"wire {seed}")
        self._whole = opening() + call(request(self._path), message(good))

    def every(self) -> Iterator[tuple[str, bytes]]:
        """Everything that is known to be odd, once: a name, and what is sent."""
        yield "a whole call", self._whole
        for name, make in self._kinds().items():
            for data in make():
                yield name, data

    def next(self) -> tuple[str, bytes]:
        """Some of it, or what comes of a whole call that is damaged or breaks off."""
        chance = self._chance
        match chance.randrange(8):
            case 0:
                return "noise", chance.randbytes(chance.choice((1, 30, 5000)))
            case 1:
                return "a call that breaks off", self._whole[: chance.randrange(len(self._whole))]
            case 2 | 3:
                return "a damaged call", self._damaged(self._whole)
        name, make = chance.choice(list(self._kinds().items()))
        data = chance.choice(make())
        return name, self._damaged(data) if len(data) > len(PREFACE) and chance.random() < 0.3 else data

    def send(self, data: bytes) -> str:
        """Send it on a connection of its own; the status of the first call that has one, empty without."""
        received = b""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection,
        ):
            connection.setblocking(False)
            received = _exchange(connection, data)
        return status_in(received)

    def _kinds(self) -> dict[str, Callable[[], Sequence[bytes]]]:
        return {
            "another protocol": lambda: _OTHERS,
            "odd frames": self._odd_frames,
            "odd headers": self._odd_headers,
            "odd messages": self._odd_messages,
            "a flood": self._floods,
        }

    def _damaged(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._chance.choice((1, 2, 6))):
            # The preface stays: without it nothing else is looked at.
            changed[self._chance.randrange(len(PREFACE), len(changed))] = self._chance.randrange(256)
        return bytes(changed)

    def _odd_frames(self) -> list[bytes]:
        chance = self._chance
        good = headers(request(self._path))
        body = message(self._good)
        kind, stream = chance.randrange(256), chance.randrange(2**31)
        odd = [
            frame(kind, chance.randrange(256), stream, chance.randbytes(20)),
            *(
                frame(kind, chance.randrange(256), chance.randrange(3), chance.randbytes(9))
                for kind in range(10)
            ),
            frame(DATA, 0, 1, b"x", length=2**24 - 1),
            frame(DATA, PADDED, 1, b"\xff" + body),
            *(
                frame(SETTINGS, 0, 0, struct.pack(">HI", setting, value))
                for setting in range(9)
                for value in (0, 1, 2**32 - 1)
            ),
            frame(SETTINGS, 0, 0, bytes(7)),
            frame(SETTINGS, ACK, 0, b""),
            *(
                frame(WINDOW, 0, stream, struct.pack(">I", more))
                for stream in (0, 1)
                for more in (0, 2**31 - 1)
            ),
            frame(HEADERS, END_HEADERS, 0, good),
            frame(HEADERS, END_HEADERS, 2, good),
            frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff"),
            frame(HEADERS, 0, 1, good) + frame(DATA, 0, 1, body),
            frame(CONTINUATION, END_HEADERS, 1, good),
            frame(HEADERS, 0, 1, b"") + frame(CONTINUATION, 0, 1, b"") * 2000,
            frame(HEADERS, END_HEADERS, 1, chance.randbytes(60)),
            frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\xff\x0f" + good),
            frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
            frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + good),
            frame(GOAWAY, 0, 0, bytes(8)) + call(request(self._path), body),
            frame(DATA, END_STREAM, 99, body),
            call(request(self._path), body) * 2,
            frame(HEADERS, END_HEADERS | END_STREAM, 1, good) + frame(DATA, 0, 1, body),
            call(request(self._path), body)
            + frame(HEADERS, END_HEADERS | END_STREAM, 1, headers([(b"x", b"y")])),
        ]
        return [opening() + one for one in odd]

    def _odd_headers(self) -> list[bytes]:
        whole = request(self._path)
        odd = [
            *(request(path) for path in _paths(self._path)),
            *(request(self._path, pair) for pair in _PAIRS),
            *(request(self._path, leave_out=[name]) for name, _ in whole),
            request(self._path, *((b"x-%d" % number, b"y") for number in range(50))),
            request(self._path, *((b"x-%d" % number, b"y") for number in range(2000))),
            [*whole, (b":path", b"/other"), (b":status", b"200")],
            [(b"x", b"y"), *whole],
            [],
        ]
        return [opening() + self._in_parts(headers(pairs)) for pairs in odd]

    def _in_parts(self, block: bytes) -> bytes:
        """A call of these headers, which may be too many for a frame."""
        parts = [block[start : start + 16_000] for start in range(0, len(block), 16_000)] or [b""]
        sent = b""
        for number, part in enumerate(parts):
            flags = END_HEADERS if number == len(parts) - 1 else 0
            sent += frame(CONTINUATION if number else HEADERS, flags, 1, part)
        return sent + frame(DATA, END_STREAM, 1, message(self._good))

    def _odd_messages(self) -> list[bytes]:
        good = self._good
        bodies = (
            b"",
            message(good)[:4],
            message(good, length=len(good) + 5),
            message(good, length=max(len(good) - 5, 0)),
            message(good, length=2**32 - 1),
            message(good, length=2**31),
            message(good, flag=1),
            message(good, flag=255),
            message(b"") * 300,
            message(good) + message(good),
            message(good) + b"rest",
            message(self._chance.randbytes(40), flag=1),
        )
        packed = request(self._path, (b"grpc-encoding", b"gzip"))
        return [opening() + call(pairs, body) for pairs in (request(self._path), packed) for body in bodies]

    def _floods(self) -> list[bytes]:
        start = headers(request(self._path))
        streams = range(1, 400, 2)
        floods = [
            frame(PING, 0, 0, bytes(8)) * 1000,
            frame(SETTINGS, 0, 0, b"") * 1000,
            frame(WINDOW, 0, 0, struct.pack(">I", 1)) * 1000,
            frame(PRIORITY, 0, 1, struct.pack(">IB", 3, 1)) * 1000,
            frame(HEADERS, END_HEADERS, 1, start) + frame(DATA, 0, 1, b"") * 1000,
            frame(HEADERS, END_HEADERS, 1, start) + frame(DATA, 0, 1, b"\0") * 1000,
            b"".join(
                frame(HEADERS, END_HEADERS, stream, start) + frame(RESET, 0, stream, struct.pack(">I", 8))
                for stream in streams
            ),
            b"".join(frame(HEADERS, END_HEADERS, stream, start) for stream in streams),
            b"".join(call(request(self._path), message(self._good), stream) for stream in streams),
        ]
        return [opening() + flood for flood in floods]


def _paths(good: bytes) -> list[bytes]:
    return [
        *(b"", b"/", b"x", b"//", b"*", good + b"/x", good[1:], good + b"?a=b", good + b"\0", good.upper()),
        *(b"/\xff\xfe/\x80", b"/x/" + b"\xc3\xa9" * 50, good.replace(b"P", b"\xe9"), b"/\xed\xa0\x80/x"),
        *(b"/" + b"x" * 7000, b"/..%2f../etc/passwd", b"http://localhost" + good, b"/ /", b"/\r\n/"),
    ]


_PAIRS = (
    *(
        (b"grpc-timeout", wait)
        for wait in (b"", b"abc", b"-1S", b"1X", b"9" * 30 + b"H", b"99999999H", b"0n")
    ),
    *((b"grpc-timeout", wait) for wait in (b"1 S", b"\xff", b"1", b"S", b"1m", b"+1S")),
    *((b":method", method) for method in (b"GET", b"PUT", b"", b"CONNECT", b"post", b"\xff")),
    *((b":scheme", scheme) for scheme in (b"", b"ftp", b"\xff")),
    *(
        (b"content-type", kind)
        for kind in (b"", b"text/html", b"application/grpc-web", b"application/grpc+x")
    ),
    *((b"grpc-encoding", packing) for packing in (b"gzip", b"deflate", b"x", b"\xff", b"")),
    *((b"te", value) for value in (b"x", b"", b"\xff")),
    *((b":authority", value) for value in (b"", b"\xff", b"x" * 3000)),
    *((b"authorization", value) for value in (b"Bearer \xff\xfe", b"Bearer \0", b"\r\nx: y", b"\xc3\xa9")),
    *((b"x-request-id", value) for value in (b"\xff\x80", b"a\0b", b"\xc3\xa9", b"x" * 7000)),
    *((b"x-odd-bin", value) for value in (b"!!!", b"AA", b"AAAAA=", b"," * 100, b"\xff")),
    *((b"x-big", b"y" * size) for size in (9000, 17_000, 70_000)),
    *((name, b"y") for name in (b"X-Upper", b"", b"x y", b"x\0", b"\xff", b":odd", b"connection")),
    *((name, b"\xff\xfe") for name in (b"user-agent", b"grpc-accept-encoding", b"grpc-tags-bin", b"x-odd")),
)

_OTHERS = (
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /digits.v1.PredictionService/Predict HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"SSH-2.0-x\r\n",
    b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    b"*1\r\n$4\r\nPING\r\n",
    PREFACE[:10],
    PREFACE,
    PREFACE + PREFACE,
    PREFACE + b"GET / HTTP/1.1\r\n\r\n",
)


def status_in(received: bytes) -> str:
    """The gRPC status in what a server sent; empty when there is none in plain letters."""
    place = 0
    while place + 9 <= len(received):
        length = int.from_bytes(received[place : place + 3])
        kind, payload = received[place + 3], received[place + 9 : place + 9 + length]
        place += 9 + length
        if kind == HEADERS and (found := payload.find(b"grpc-status")) >= 0:
            start = found + len(b"grpc-status")
            return payload[start + 1 : start + 1 + (payload[start] & 0x7F)].decode("latin-1")
    return ""


def _exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send what is taken, and read what comes, until one of the two ends or nothing more happens."""
    received, left = b"", memoryview(data)
    deadline = time.monotonic() + ANSWER_S
    is_acknowledged = False
    while time.monotonic() < deadline and len(received) < 2**20:
        wants_to_write = [connection] if left else []
        readable, writable, _ = select.select([connection], wants_to_write, [], 0.2)
        if writable:
            left = left[connection.send(left) :]
        if readable:
            got = connection.recv(65536)
            if not got:
                break
            received += got
            # Without this gRPC does not trust the connection.
            if not is_acknowledged and received[3:4] == bytes([SETTINGS]):
                is_acknowledged = True
                with contextlib.suppress(OSError):
                    connection.send(frame(SETTINGS, ACK, 0, b""))
        if not readable and not left:
            break
        if status_in(received) and not left:
            break
    return received


def _text(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes([size]) + text
    encoded, size = b"\x7f", size - 127
    while size >= 128:
        encoded += bytes([size % 128 + 128])
        size //= 128
    return encoded + bytes([size]) + text
