"""One structured line an event, as JSON on standard error. What a call causes carries its request id."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

# In the task or thread that works for a call; asyncio hands it on to the threads that a task asks.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
# In a process that works for one call only, on many threads.
_of_all_lines = ""

# What every record carries by itself; everything else came in through `extra=`.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON: time, level, logger, event, then the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if request_id := REQUEST_ID.get() or _of_all_lines:
            line["request_id"] = request_id
        # Libraries leave notes of their own in every record, under names that begin so.
        given = {key: value for key, value in record.__dict__.items() if not key.startswith("_")}
        line.update({key: value for key, value in given.items() if key not in _STANDARD})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _tell_without_values(record: logging.LogRecord) -> bool:
    """gRPC tells of metadata that is no text as a bug, with a traceback and the value: perhaps a token."""
    if str(record.msg).startswith("Invalid encoding on"):
        record.msg, record.args, record.exc_info = "metadata that is no text", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _tell_of_callers_gone(record: logging.LogRecord) -> bool:
    """gRPC tells of an answer that it could not send as a bug: its caller went at that very moment."""
    raised = record.exc_info[0] if record.exc_info else None
    if raised is not None and raised.__name__ == "ExecuteBatchError":
        record.msg, record.args, record.exc_info = "answer not sent: its caller has gone", (), None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


def mark_all_lines(request_id: str) -> None:
    """Mark every line of this process with the id of the call that it was started for."""
    global _of_all_lines
    _of_all_lines = request_id


@contextmanager
def on_behalf_of(request_id: str) -> Iterator[None]:
    """Mark the lines of this thread with the id of a call that has ended: its work goes on."""
    before = REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        REQUEST_ID.reset(before)


def set_up_logging(level: str) -> None:
    """Send everything at `level` ("debug", "info", "warning", "error") and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_tell_without_values)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_tell_of_callers_gone)
