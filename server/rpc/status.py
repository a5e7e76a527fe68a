"""One table turns what the domain refuses into a gRPC status with `google.rpc` details."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from server import errors

Trailing: TypeAlias = tuple[tuple[str, str | bytes], ...]

DOMAIN = "digits"
DETAILS_KEY = "grpc-status-details-bin"

# The first row whose class matches decides; errors.py draws the tree.
STATUS_CODES: tuple[tuple[type[errors.DigitsError], grpc.StatusCode], ...] = (
    (errors.InvalidArgument, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.PermissionDenied, grpc.StatusCode.PERMISSION_DENIED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.FailedPrecondition, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.Exhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.SamplesFull, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.DiskFull, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.Unsupported, grpc.StatusCode.UNIMPLEMENTED),
)

# A status travels in the headers, which may be 8 KiB in all, and says its message up to five times, once with
# every byte that is no plain letter as three.
MAX_TEXT_BYTES = 600

# What a caller learns of a bug: where to look, and nothing of the inside.
INTERNAL_MESSAGE = "an error inside the server; its log tells more"


def status_code(error: errors.DigitsError) -> grpc.StatusCode:
    """The gRPC code of a domain error."""
    for branch, code in STATUS_CODES:
        if isinstance(error, branch):
            return code
    raise TypeError(f"{type(error).__name__} hangs on no branch of the error tree")


def to_status(error: errors.DigitsError) -> status_pb2.Status:
    """A domain error as `google.rpc.Status`: always ErrorInfo, and what else its branch of the tree tells."""
    message = _short(error.message)
    metadata = {name: _short(value) for name, value in error.metadata.items()}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    ]
    if isinstance(error, errors.InvalidArgument):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_short(error.field), description=_short(error.description)
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    elif isinstance(error, errors.NotFound):
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=error.resource_type,
                resource_name=_short(error.resource_name),
                description=message,
            )
        )
    elif isinstance(error, errors.FailedPrecondition):
        unmet = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason, subject=_short(error.subject), description=message
        )
        details.append(error_details_pb2.PreconditionFailure(violations=[unmet]))
    elif isinstance(error, errors.RetryLater):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return _status(status_code(error), message, details)


def internal_status() -> status_pb2.Status:
    """What a caller gets for a bug: a fixed text, never a trace."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN)
    return _status(grpc.StatusCode.INTERNAL, INTERNAL_MESSAGE, [info])


def to_message(error: errors.DigitsError) -> str:
    """What the status of a domain error says to a person."""
    return _short(error.message)


def trailing_metadata(status: status_pb2.Status) -> Trailing:
    """The status as clients expect it beside code and message."""
    return ((DETAILS_KEY, status.SerializeToString()),)


def trailing_of_overload(error: errors.Overloaded) -> Trailing:
    """The same for a refusal of which there may be thousands a second: to the millisecond, and made once."""
    return _trailing_of_overload(error.message, max(1, round(error.retry_after_s * 1e3)))


@lru_cache(maxsize=2048)
def _trailing_of_overload(message: str, retry_after_ms: int) -> Trailing:
    return trailing_metadata(to_status(errors.Overloaded(message, retry_after_ms / 1e3)))


def _short(text: str) -> str:
    """The text as it may travel. Whoever named a thing by a megabyte gets the beginning of it back."""
    if len(text) <= MAX_TEXT_BYTES // 4:
        return text
    told = text[:MAX_TEXT_BYTES].encode(errors="replace")
    if len(told) <= MAX_TEXT_BYTES and len(text) <= MAX_TEXT_BYTES:
        return text
    return told[: MAX_TEXT_BYTES - 3].decode(errors="ignore") + "…"


def _status(code: grpc.StatusCode, message: str, details: list[Message]) -> status_pb2.Status:
    packed = []
    for detail in details:
        any_detail = Any()
        any_detail.Pack(detail)
        packed.append(any_detail)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)
