"""What several conversions share: pixels, times, optional fields, pages."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from digits.client.records import Pixels


def pixels(data: bytes) -> Pixels:
    """784 bytes as a read-only (28, 28) uint8 array."""
    return np.frombuffer(data, dtype=np.uint8).reshape(28, 28)


def time(message: Message, field: str) -> datetime | None:
    """A Timestamp field in UTC, None where it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def create_time(message: Message) -> datetime:
    """The time at which the server made the thing: always set."""
    return time(message, "create_time") or datetime.fromtimestamp(0, UTC)


def optional(message: Message, field: str) -> float | None:
    """An optional number, None where it is not set."""
    return float(getattr(message, field)) if message.HasField(field) else None


def optional_int(message: Message, field: str) -> int | None:
    """An optional whole number, None where it is not set."""
    return int(getattr(message, field)) if message.HasField(field) else None
