"""A call as a value: what is sent, where to, how the answer becomes a record, and how long it may take.

The functions of `calls` make them; `Client` runs them, and so does `AsyncClient`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

R = TypeVar("R")
S = TypeVar("S")
M = TypeVar("M", bound=Message)


class Kind(Enum):
    """What a call does, which decides how long it may take: the names of the fields of `Deadlines`."""

    READ = "read_s"
    PREDICT = "predict_s"
    CHANGE = "change_s"
    TRANSFER = "transfer_s"
    STREAM = "stream_s"


@dataclass(frozen=True)
class Deadlines:
    """How long a call of each kind may take in all, its repetitions included, in seconds."""

    read_s: float = 5.0
    predict_s: float = 5.0
    # Loads a model and tries it; starting and cancelling a run may wait for a child process.
    change_s: float = 10.0
    # Archives and exports: a conversion takes some seconds the first time.
    transfer_s: float = 120.0
    # Following a run, and bulk predictions. A server that vanished is noticed long before, by keep-alive.
    stream_s: float = 24 * 3600.0

    def of(self, kind: Kind) -> float:
        """The deadline of a kind, in seconds."""
        return float(getattr(self, kind.value))


@dataclass(frozen=True)
class Rpc(Generic[M]):
    """A method of the contract: `PredictionService/Predict`, and the message it answers with."""

    name: str
    response: type[M]


@dataclass(frozen=True)
class Terms:
    """How long a call may take (None: as its kind does) and whether it may be sent twice."""

    kind: Kind
    timeout_s: float | None = None
    is_repeatable: bool = False


@dataclass(frozen=True)
class Unary(Generic[R]):
    """One request, one answer."""

    rpc: Rpc[Any]
    request: Message
    convert: Callable[[Any], R]
    terms: Terms


@dataclass(frozen=True)
class Gathered(Generic[R]):
    """One request, many messages that make one answer."""

    rpc: Rpc[Any]
    request: Message
    convert: Callable[[Sequence[Any]], R]
    terms: Terms


@dataclass(frozen=True)
class Followed(Generic[R]):
    """One request, an answer after the other.

    `is_state`: each answer is the whole state, so that a broken stream can be taken up again at any time.
    """

    rpc: Rpc[Any]
    request: Message
    convert: Callable[[Any], R]
    terms: Terms
    is_state: bool = False


@dataclass(frozen=True)
class Upload(Generic[R]):
    """Many messages that make one request, one answer."""

    rpc: Rpc[Any]
    requests: Callable[[], Iterator[Message]]
    convert: Callable[[Any], R]
    terms: Terms


@dataclass(frozen=True)
class Duplex(Generic[S, R]):
    """A request for each item of a stream, an answer for each request."""

    rpc: Rpc[Any]
    request: Callable[[S], Message]
    convert: Callable[[Any], R]
    terms: Terms


def unary(rpc: Rpc[M], request: Message, convert: Callable[[M], R], terms: Terms) -> Unary[R]:
    """A `Unary` whose converter fits its method."""
    return Unary(rpc, request, convert, terms)


def read(rpc: Rpc[M], request: Message, convert: Callable[[M], R], timeout_s: float | None) -> Unary[R]:
    """A call that changes nothing."""
    return Unary(rpc, request, convert, Terms(Kind.READ, timeout_s, is_repeatable=True))
