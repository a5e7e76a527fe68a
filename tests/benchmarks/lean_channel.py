"""A client's channel that needs next to no processor time: just enough HTTP/2 for unary calls of this server.

gRPC's own clients need as much for a call as the server does, in Python twice as much; on two cores they
could neither show what the server bears nor ask for twice of it. This one is for measuring only: it sends the
same bytes again and again, and of the answers it reads no more than how each call ended.
"""

from __future__ import annotations

import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LARGEST_WINDOW = 2**31 - 1
FRAME_BYTES = 16384
RENEWED_AT = 2**29
CANCELLED = 1
TIMEOUT = "20S"


class Ended(NamedTuple):
    """How a call ended: its status code, and the headers that told it, as they came."""

    code: int
    headers: bytes


class Call(NamedTuple):
    """What is sent for each call of a method."""

    headers: bytes
    message: bytes


class LeanChannel:
    """Calls to one address over one connection, all on one thread."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._authority = address
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in = bytearray()
        self._out = bytearray(PREFACE)
        self._stream = 1
        self._under_way: dict[int, Callable[[Ended], object]] = {}
        # What may still be sent, as the server says; what has to wait for it.
        self._window = self._first_window = 65535
        self._windows: dict[int, int] = {}
        self._held_back: deque[tuple[int, memoryview]] = deque()
        self._unacknowledged = 0
        # No dictionary for headers, no pushes, windows as large as they may be, binary metadata as it is.
        settings = {1: 0, 2: 0, 4: LARGEST_WINDOW, 5: 2**24 - 1, 0xFE03: 1}
        self._frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *setting) for setting in settings.items()))
        self._frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGEST_WINDOW - 65535))

    @property
    def under_way(self) -> int:
        """Calls that have not ended."""
        return len(self._under_way)

    def call(self, path: str, request: bytes, metadata: Mapping[str, str] = MappingProxyType({})) -> Call:
        """What `send` needs to call a method with a request."""
        headers = b"\x83\x86"  # POST, http
        headers += _literal(b"\x04", path) + _literal(b"\x01", self._authority)
        headers += _literal(b"\x0f\x10", "application/grpc")
        headers += _literal(b"\x00" + _text("te"), "trailers") + _literal(
            b"\x00" + _text("grpc-timeout"), TIMEOUT
        )
        headers += b"".join(_literal(b"\x00" + _text(name), value) for name, value in metadata.items())
        return Call(headers, struct.pack(">BI", 0, len(request)) + request)

    def send(self, call: Call, on_end: Callable[[Ended], object]) -> None:
        """Begin a call; `receive` tells how it ended."""
        stream = self._stream
        self._stream += 2
        self._under_way[stream] = on_end
        self._frame(HEADERS, END_HEADERS, stream, call.headers)
        if len(call.message) <= min(self._window, self._first_window, FRAME_BYTES) and not self._held_back:
            self._window -= len(call.message)
            self._frame(DATA, END_STREAM, stream, call.message)
        else:
            self._windows[stream] = self._first_window
            self._held_back.append((stream, memoryview(call.message)))
            self._send_held_back()

    def receive(self, wait_s: float) -> None:
        """Send what was not sent yet, and tell of the calls that ended; wait for the first for so long."""
        # Always both: a server that waits for its answers to be taken takes no more requests.
        readable, writable, _ = select.select(
            [self._socket], [self._socket] if self._out else [], [], max(0.0, wait_s)
        )
        if writable:
            del self._out[: self._socket.send(self._out)]
        if readable:
            received = self._socket.recv(2**18)
            if not received:
                raise ConnectionError("the server has closed the connection")
            self._in += received
            self._read_frames()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes | memoryview) -> None:
        self._out += struct.pack(">IBI", len(payload) << 8 | kind, flags, stream)
        self._out += payload

    def _read_frames(self) -> None:
        start, end = 0, len(self._in)
        while end - start >= 9:
            head, flags, stream = struct.unpack_from(">IBI", self._in, start)
            size, kind = head >> 8, head & 0xFF
            if end - start < 9 + size:
                break
            if kind == DATA:
                self._unacknowledged += size
            else:
                self._read_frame(kind, flags, stream, bytes(self._in[start + 9 : start + 9 + size]))
            start += 9 + size
        del self._in[:start]
        if self._unacknowledged > RENEWED_AT:
            self._frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._unacknowledged))
            self._unacknowledged = 0

    def _read_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            if flags & END_STREAM:
                self._end(stream, Ended(_status(payload), payload))
        elif kind == RST_STREAM:
            self._end(stream, Ended(CANCELLED, b""))
        elif kind == WINDOW_UPDATE:
            (more,) = struct.unpack(">I", payload)
            if stream:
                self._windows[stream] = self._windows.get(stream, 0) + more
            else:
                self._window += more
            self._send_held_back()
        elif kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == 4:
                    self._first_window = value
            self._frame(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            self._frame(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            raise ConnectionError("the server ends the connection")

    def _end(self, stream: int, ended: Ended) -> None:
        self._windows.pop(stream, None)
        if (on_end := self._under_way.pop(stream, None)) is not None:
            on_end(ended)

    def _send_held_back(self) -> None:
        while self._held_back:
            stream, rest = self._held_back[0]
            size = min(len(rest), self._window, self._windows.get(stream, 0), FRAME_BYTES)
            if stream in self._under_way and not size:
                return
            self._held_back.popleft()
            if stream not in self._under_way:
                continue
            is_last = size == len(rest)
            self._frame(DATA, END_STREAM if is_last else 0, stream, rest[:size])
            self._window -= size
            self._windows[stream] -= size
            if not is_last:
                self._held_back.appendleft((stream, rest[size:]))


def _text(text: str) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


def _literal(name: bytes, value: str) -> bytes:
    """A header that neither side remembers."""
    return name + _text(value)


def _status(headers: bytes) -> int:
    """The status code in headers that are not compressed."""
    start = headers.index(b"\x0bgrpc-status") + 12
    return int(headers[start + 1 : start + 1 + headers[start]])
