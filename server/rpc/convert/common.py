"""What several conversions share: enums, optional fields, times, data sources."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from digits.v1 import dataset_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from server.datasets import Dataset, DataSource, SourceKind
from server.errors import InvalidArgument

E = TypeVar("E", bound=StrEnum)

MAX_RETRY_ID = 64

DATASETS: Mapping[Dataset, int] = {
    Dataset.MNIST_TEST: dataset_pb2.DATASET_MNIST_TEST,
    Dataset.BUILTIN_DIGITS: dataset_pb2.DATASET_BUILTIN_DIGITS,
    Dataset.BUILTIN_TEST: dataset_pb2.DATASET_BUILTIN_TEST,
}
SOURCE_KINDS: Mapping[SourceKind, int] = {
    SourceKind.MNIST_FILE: dataset_pb2.DATA_SOURCE_KIND_MNIST_FILE,
    SourceKind.MNIST_DOWNLOAD: dataset_pb2.DATA_SOURCE_KIND_MNIST_DOWNLOAD,
    SourceKind.BUILTIN: dataset_pb2.DATA_SOURCE_KIND_BUILTIN,
}


def enum_from_proto(field: str, value: int, table: Mapping[E, int]) -> E | None:
    """The domain's value of an enum field, None when it is unset. Raises InvalidArgument outside `table`."""
    if value == 0:
        return None
    for member, number in table.items():
        if number == value:
            return member
    expected = ", ".join(f"{number} ({member.value})" for member, number in table.items())
    raise InvalidArgument(field, f"expected one of {expected}, or unset, got {value}")


def required_dataset(value: int) -> Dataset:
    """The data set that a request names. Raises InvalidArgument when it names none."""
    dataset = enum_from_proto("dataset", value, DATASETS)
    if dataset is None:
        raise InvalidArgument("dataset", f"expected one of {', '.join(DATASETS)}, got none")
    return dataset


def optional_digit(request: Message, field: str) -> int | None:
    """An optional field that holds a digit, None when it is unset. Raises InvalidArgument outside 0 to 9."""
    if not request.HasField(field):
        return None
    digit: int = getattr(request, field)
    if not 0 <= digit <= 9:
        raise InvalidArgument(field, f"expected a digit from 0 to 9, or unset, got {digit}")
    return digit


def chosen_version(value: int, field: str = "model_version") -> int | None:
    """The version that a request names, None for the deployed one. Raises InvalidArgument below 0."""
    if value < 0:
        raise InvalidArgument(field, f"expected a version from 1, or 0 for the deployed one, got {value}")
    return value or None


def retry_id(value: str) -> str | None:
    """The id by which a repeated request is known, None without one. Raises InvalidArgument when too long."""
    if len(value) > MAX_RETRY_ID:
        raise InvalidArgument("request_id", f"expected at most {MAX_RETRY_ID} characters, got {len(value)}")
    return value or None


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A moment (with time zone) as protobuf has it."""
    if moment is None:
        return None
    result = Timestamp()
    result.FromDatetime(moment)
    return result


def data_source(source: DataSource | None) -> dataset_pb2.DataSource | None:
    """Where digits came from."""
    if source is None:
        return None
    return dataset_pb2.DataSource(
        kind=SOURCE_KINDS[source.kind],  # type: ignore[arg-type]
        description=source.description,
        sha256=source.sha256,
    )
