"""Bad calls: what is sent, in which manner, and what came back."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import grpc
from torture_bad_catalogue import ENDLESS, HEALTH, INFERENCE, METHODS, PREDICTION, SAMPLE
from torture_bad_messages import Messages

# Nobody waits for so long on a machine that is not busy with everything at once.
PATIENCE_S = 180.0
# Of replies no more are looked at.
KEPT = 50
TOLD_BYTES = 120

Metadata = tuple[tuple[str, str | bytes], ...]


class Manner(Enum):
    """How a call is made."""

    PLAIN = "plain"
    EMPTY = "ends without a request"
    HALF_OPEN = "never ends its requests"
    CANCELLED = "cancelled"
    LATE = "with hardly any time"
    PATIENT = "with time for a century"
    METADATA = "with odd metadata"
    BIG_METADATA = "with more metadata than there may be"
    COMPRESSED = "compressed"
    SLOW = "reads slowly"


WEIGHTS = {
    Manner.PLAIN: 70.0,
    Manner.EMPTY: 2.0,
    Manner.HALF_OPEN: 3.0,
    Manner.CANCELLED: 7.0,
    Manner.LATE: 3.0,
    Manner.PATIENT: 2.0,
    Manner.METADATA: 6.0,
    Manner.BIG_METADATA: 0.5,
    Manner.COMPRESSED: 4.0,
    Manner.SLOW: 2.5,
}
# Those that hold the most code, and the least.
OFTEN = {
    **dict.fromkeys((f"{PREDICTION}/{name}" for name in ("Predict", "BatchPredict", "StreamPredict")), 4.0),
    **dict.fromkeys((f"{INFERENCE}/{name}" for name in ("ModelInfer", "ModelStreamInfer")), 4.0),
    **dict.fromkeys((f"{SAMPLE}/{name}" for name in ("AddSample", "ImportSamples")), 2.5),
    f"{PREDICTION}/ReadNumber": 2.0,
    f"{HEALTH}/Watch": 0.3,
    **dict.fromkeys((path for path in METHODS if "SharedMemory" in path), 0.2),
}

ODD_METADATA: tuple[Metadata, ...] = (
    (("x-request-id", "x" * 129),),
    (("x-request-id", "$(reboot)"),),
    (("x-request-id", ""), ("x-request-id", "b")),
    (("authorization", ""),),
    (("authorization", "Bearer"),),
    (("authorization", "Bearer " + "x" * 4000),),
    (("authorization", "Basic dTpw"), ("authorization", "Bearer x")),
    (("x-odd-bin", bytes(range(256))),),
    (("x-odd-bin", b""),),
    (("user-agent", "x" * 2000),),
    (("grpc-accept-encoding", "snappy,zstd,x"),),
    (("x" * 1000, "y"),),
    tuple((f"x-{number}", "y") for number in range(150)),
)
BIG_METADATA: tuple[Metadata, ...] = (
    (("x-big", "y" * 20_000),),
    (("x-big-bin", bytes(60_000)),),
    tuple((f"x-{number}", "y" * 100) for number in range(300)),
)


@dataclass(frozen=True)
class Case:
    """One call."""

    path: str
    messages: tuple[bytes, ...]
    manner: Manner = Manner.PLAIN
    after_s: float = 0.0
    """When it is cancelled, and how slowly it is read."""
    timeout_s: float | None = PATIENCE_S
    metadata: Metadata = ()
    is_oversized: bool = False
    """More than gRPC takes in: it answers by itself."""

    def repeat(self, folder: Path) -> str:
        """What it takes to make the call again; long messages are put into files."""
        told = []
        for message in self.messages:
            if len(message) <= TOLD_BYTES:
                told.append(message.hex() or "(empty)")
            else:
                path = folder / f"{hashlib.sha256(message).hexdigest()[:16]}.bin"
                folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(message)
                told.append(str(path))
        odd = f", metadata {str(self.metadata)[:300]}" if self.metadata else ""
        return f"{self.path} {self.manner.value}{odd}: {', '.join(told) or 'no message'}"


@dataclass
class Answer:
    """How a call ended."""

    code: grpc.StatusCode
    text: str = ""
    trailing: dict[str, Any] = field(default_factory=dict)
    replies: list[bytes] = field(default_factory=list)


class Cases:
    """Bad calls by the thousand: the same for the same seed."""

    def __init__(self, messages: Messages, seed: int, metadata: Sequence[Metadata] = ((),)) -> None:
        """`metadata`: each call carries one of these beside its own."""
        self._messages = messages
        self._chance = random.Random(f"cases {seed}")
        self._metadata = tuple(metadata)
        self._paths = list(METHODS)
        self._weights = [OFTEN.get(path, 1.0) for path in self._paths]

    def next(self) -> Case:
        """Another one."""
        chance = self._chance
        path = chance.choices(self._paths, self._weights)[0]
        manner = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        streams = METHODS[path].client_streaming
        messages = self._messages.several(path) if streams else (self._messages.next(path),)
        if not streams and chance.random() < 0.02:
            messages = (*messages, self._messages.next(path))
        timeout_s: float | None = chance.uniform(0.05, 0.4) if path in ENDLESS else PATIENCE_S
        metadata = chance.choice(self._metadata)
        match manner:
            case Manner.EMPTY:
                messages = ()
            case Manner.HALF_OPEN:
                timeout_s = chance.uniform(0.05, 1.0)
                messages = messages[: chance.randrange(len(messages) + 1)]
            case Manner.LATE:
                timeout_s = chance.choice((-1.0, 0.0, 1e-9, 0.0005, 0.002, 0.01))
            case Manner.PATIENT if path not in ENDLESS:
                timeout_s = chance.choice((None, 1e6, 3e9))
            case Manner.METADATA:
                metadata += chance.choice(ODD_METADATA)
            case Manner.BIG_METADATA:
                metadata += chance.choice(BIG_METADATA)
        after_s = chance.choice((0.0, 0.001, chance.uniform(0, 0.05), chance.uniform(0, 0.5)))
        is_oversized = manner is Manner.BIG_METADATA
        return Case(path, messages, manner, after_s, timeout_s, metadata, is_oversized)


def send(channel: grpc.Channel, case: Case) -> Answer | None:
    """Make the call. None when gRPC's own client would not."""
    is_over = threading.Event()
    try:
        call: Any = channel.stream_stream(f"/{case.path}")(
            _messages(case, is_over),
            timeout=case.timeout_s,
            metadata=case.metadata,
            compression=grpc.Compression.Gzip if case.manner is Manner.COMPRESSED else None,
        )
    except ValueError:
        return None
    replies: list[bytes] = []
    try:
        if case.manner is Manner.CANCELLED:
            time.sleep(case.after_s)
            call.cancel()
        for reply in call:
            if len(replies) < KEPT:
                replies.append(reply)
            if case.manner is Manner.SLOW:
                time.sleep(case.after_s)
                if len(replies) > 3:
                    call.cancel()
    except grpc.RpcError:
        pass  # How it ended is asked below.
    finally:
        is_over.set()
    return Answer(call.code(), call.details() or "", dict(call.trailing_metadata() or ()), replies)


def _messages(case: Case, is_over: threading.Event) -> Iterator[bytes]:
    yield from case.messages * (10 if case.manner is Manner.SLOW else 1)
    if case.manner is Manner.HALF_OPEN:
        is_over.wait(PATIENCE_S)
