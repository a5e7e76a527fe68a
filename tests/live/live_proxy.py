"""A stretch of bad network between two programs: late, slow, cut in the middle of a message, or silent.

A TCP proxy on the loopback. What it does to the connections through it may be changed at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

PIECE_BYTES = 64 * 1024
# Pieces that are on their way in one direction; who sends more is held back, as by a real window.
ON_THE_WAY = 64
# Closing with this sends a reset (RST) instead of an end (FIN).
AT_ONCE = struct.pack("ii", 1, 0)
# What somebody else's web page answers, to whatever is said.
OTHER_ANSWER = b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n"


class Way(Enum):
    """A direction through the proxy."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


class Door(Enum):
    """What becomes of a new connection."""

    OPEN = "it goes through"
    DEAF = "it is accepted, and nothing ever comes back"
    RESETS = "it is reset"
    BABBLES = "it is answered in another protocol"


@dataclass(frozen=True)
class Weather:
    """What the proxy does to what passes. On the ways in `lost` nothing arrives, no end either."""

    delay_s: float = 0.0
    """Each way, for each piece of data."""
    jitter_s: float = 0.0
    """Up to so much more, at random; the order is kept, as TCP keeps it."""
    bytes_per_s: float = 0.0
    """Each way, for each connection; 0: as fast as it goes."""
    lost: frozenset[Way] = frozenset()
    door: Door = Door.OPEN


CLEAR = Weather()
SILENT = Weather(lost=frozenset(Way), door=Door.DEAF)
"""A black hole: nothing arrives, nobody is told."""


class Proxy:
    """Passes connections on to a port of the loopback, through `weather`. Safe to use from any thread.

    with Proxy(server.port) as proxy:
        client = Client(proxy.address)
        proxy.change(SILENT)
    """

    def __init__(self, port: int, weather: Weather = CLEAR, seed: int = 0) -> None:
        """`seed` is for the jitter."""
        self.weather = weather
        self.accepted = 0
        """Connections that have come."""
        self._target = port
        self._random = random.Random(seed)
        self._links: set[_Link] = set()
        self._cut: tuple[Way, int] | None = None
        self._loop = asyncio.new_event_loop()
        # A port that is kept: clients find it again.
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self.port}"

    @property
    def links(self) -> int:
        """Connections that are open towards a client, dead ones included."""
        return len(self._links)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def change(self, weather: Weather) -> None:
        """From now on, for what is on its way too. What was held back arrives late, where it may again."""
        self._do(self._change(weather))

    def reset_all(self) -> None:
        """Reset every connection, at both of its ends."""
        self._do(self._each(lambda link: link.reset()))

    def forget_all(self) -> None:
        """Let nothing pass any more on the connections of now, and tell nobody; new ones are not concerned.

        So does a router that has lost its table.
        """
        self._do(self._each(lambda link: link.forget()))

    def cut_next(self, way: Way, after_bytes: int) -> None:
        """Reset a connection, once: the one that carries byte number `after_bytes` from now."""
        self._cut = (way, after_bytes)

    @property
    def has_cut(self) -> bool:
        """Whether what `cut_next` ordered has happened."""
        return self._cut is None

    def allowance(self, way: Way, size: int) -> int:
        """How many of these bytes may still pass before the cut that is ordered; -1: all, and no cut."""
        if self._cut is None or self._cut[0] is not way:
            return -1
        left = self._cut[1]
        self._cut = (way, left - size) if size < left else None
        return -1 if size < left else left

    def due(self) -> float:
        """The moment, of `time.monotonic()`, at which what is read now arrives."""
        return time.monotonic() + self.weather.delay_s + self.weather.jitter_s * self._random.random()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=self._socket)

    async def _change(self, weather: Weather) -> None:
        self.weather = weather
        for link in self._links:
            link.look()

    async def _each(self, act: Callable[[_Link], None]) -> None:
        for link in tuple(self._links):
            act(link)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        door = self.weather.door
        if door is Door.RESETS:
            abort(writer)
            return
        if door is Door.BABBLES:
            writer.write(OTHER_ANSWER)
            writer.close()
            return
        link = _Link(self, (reader, writer))
        self._links.add(link)
        try:
            await link.run(self._target, is_deaf=door is Door.DEAF)
        except asyncio.CancelledError:
            link.reset()
        finally:
            self._links.discard(link)

    async def _end(self) -> None:
        self._server.close()
        for link in tuple(self._links):
            link.reset()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Link:
    """One connection through the proxy: two sockets, and what is on its way between them."""

    def __init__(self, proxy: Proxy, client: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._proxy = proxy
        self._reader, self._writer = client
        self._server: asyncio.StreamWriter | None = None
        self._is_forgotten = False
        self._is_over = asyncio.Event()
        self._passable = {way: asyncio.Event() for way in Way}
        self.look()

    def look(self) -> None:
        """See which ways are open."""
        for way, passable in self._passable.items():
            if self._is_forgotten or way in self._proxy.weather.lost:
                passable.clear()
            else:
                passable.set()

    def forget(self) -> None:
        """Let nothing pass any more, without a word."""
        self._is_forgotten = True
        self.look()

    def reset(self) -> None:
        """End it at both ends, at once."""
        for writer in (self._writer, self._server):
            if writer is not None:
                abort(writer)
        self._is_over.set()

    async def run(self, port: int, *, is_deaf: bool) -> None:
        """Pass on what comes until both sides have ended."""
        if is_deaf:
            # Read, so that the sender sees nothing but silence.
            self.forget()
            await self._swallow()
            return
        try:
            reader, self._server = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            self.reset()  # Nobody listens there.
            return
        ways = [
            asyncio.ensure_future(self._carry(Way.TO_SERVER, self._reader, self._server)),
            asyncio.ensure_future(self._carry(Way.TO_CLIENT, reader, self._writer)),
        ]
        over = asyncio.ensure_future(self._is_over.wait())
        both = asyncio.gather(*ways)
        try:
            await asyncio.wait((both, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            both.cancel()
            over.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await both
            if self._is_over.is_set():
                self.reset()
            self._writer.close()
            self._server.close()

    async def _swallow(self) -> None:
        with contextlib.suppress(OSError):
            while await self._reader.read(PIECE_BYTES):
                continue
        self._writer.close()

    async def _carry(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        on_its_way: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(ON_THE_WAY)
        delivering = asyncio.ensure_future(self._deliver(way, on_its_way, writer))
        try:
            while True:
                try:
                    data: bytes | None = await reader.read(PIECE_BYTES)
                except OSError:
                    data = None  # Reset by its sender: so it is for the receiver.
                await on_its_way.put((self._proxy.due(), data))
                if not data:
                    break
            await delivering
        finally:
            delivering.cancel()

    async def _deliver(
        self, way: Way, on_its_way: asyncio.Queue[tuple[float, bytes | None]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due, data = await on_its_way.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._passable[way].wait()
            if data is None:
                self.reset()
                return
            with contextlib.suppress(OSError):
                if not data:
                    writer.write_eof()
                    return
                await self._write(way, data, writer)

    async def _write(self, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        rate = self._proxy.weather.bytes_per_s
        size = max(1, min(len(data), int(rate / 20))) if rate else len(data)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            allowed = self._proxy.allowance(way, len(piece))
            if allowed >= 0:
                writer.write(piece[:allowed])
                # The first half is on its way before the reset overtakes it.
                await asyncio.sleep(0.05)
                self.reset()
                return
            writer.write(piece)
            await writer.drain()
            if rate:
                await asyncio.sleep(len(piece) / rate)


def abort(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a reset."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()
