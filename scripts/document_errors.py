"""Write docs/errors.md: every reason that a call can be refused for, as the code has it.

python scripts/document_errors.py [--out FILE]
"""

from __future__ import annotations

import argparse
import inspect
import typing
from pathlib import Path

from google.protobuf.any_pb2 import Any
from google.rpc import status_pb2

from server import errors
from server.rpc.status import internal_status, status_code, to_status

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "errors.md"

HEAD = """\
# Errors

<!-- Written by scripts/document_errors.py from server/errors.py; do not edit. -->

Every refusal of this server is a gRPC status with a message for a person and, for programs, the details of
[`google.rpc`](https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto), in the
trailing metadata `grpc-status-details-bin`. Libraries unpack it: `grpc_status.rpc_status.from_call` in
Python, `status.FromError` in Go, `StatusProto.fromThrowable` in Java.

- **ErrorInfo** is always there. Its `domain` is `digits`; its `reason` is one of those below and never
  changes its meaning. Decide by the reason; show the message.
- **BadRequest** names the field that is wrong, as a path such as `images[3].encoded`.
- **ResourceInfo** names what was not found: its type and its name.
- **PreconditionFailure** says what has to change first: `type` is the reason, `subject` what is in the
  wrong state.
- **RetryInfo** says when a retry makes sense. Without it a retry brings the same answer.

`x-request-id` in the trailing metadata is the id of the call: the server's log lines carry it.
In `StreamPredict` what is wrong with one image is told in its answer, with the same reasons, and the stream
goes on.

| reason | code | details, beside ErrorInfo | when |
|---|---|---|---|
"""

TAIL = """
## What gRPC answers by itself

These have no details, because no code of this server takes part:

| code | when |
|---|---|
| UNAVAILABLE | nobody listens at the address, or the TLS handshake failed |
| DEADLINE_EXCEEDED | the deadline passed on the way; it is told by the caller's own side |
| CANCELLED | the caller cancelled; or more than 1,000 calls waited, of callers that do not obey RetryInfo |
| RESOURCE_EXHAUSTED | a message of more than 128 MiB once unpacked, or metadata of more than 16 KiB |
| INTERNAL | the headers or the framing of the call break gRPC's own rules, as none of its libraries does |
"""


def reasons() -> dict[str, type[errors.DigitsError]]:
    """Every class that is raised, by its reason: the leaves of the tree, and two branches beside them."""
    raised_branches = (errors.InvalidArgument, errors.Unsupported)
    return {
        _reason(one): one
        for one in _tree(errors.DigitsError)
        if not one.__subclasses__() or one in raised_branches
    }


def table() -> str:
    """The rows, in the order of the codes."""
    rows = [_row(_reason(one), one) for one in reasons().values()]
    bug = _details(internal_status())
    rows.append(
        f"| `INTERNAL` | INTERNAL | {bug} | A bug. The message tells nothing of the inside; the log does. |"
    )
    return "\n".join(rows) + "\n"


def document() -> str:
    """The whole page."""
    return HEAD + table() + TAIL


def _row(reason: str, one: type[errors.DigitsError]) -> str:
    example = _example(one)
    when = (inspect.getdoc(one) or "").split("\n\n")[0].replace("\n", " ")
    return f"| `{reason}` | {status_code(example).name} | {_details(to_status(example))} | {when} |"


def _details(status: status_pb2.Status) -> str:
    names = [_name(detail) for detail in status.details]
    return ", ".join(name for name in names if name != "ErrorInfo")


def _name(detail: Any) -> str:
    return str(detail.type_url.rpartition(".")[2])


def _example(one: type[errors.DigitsError]) -> errors.DigitsError:
    """An error of a class, whatever it is made from."""
    blank: dict[str, typing.Any] = {"str": "…", "int": 1, "float": 1.0}
    parameters = inspect.signature(one).parameters.values()
    return one(
        *(
            blank[str(parameter.annotation)]
            for parameter in parameters
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty
        )
    )


def _reason(one: type[errors.DigitsError]) -> str:
    return _example(one).reason


def _tree(branch: type[errors.DigitsError]) -> list[type[errors.DigitsError]]:
    return [branch, *(below for child in branch.__subclasses__() for below in _tree(child))]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the table of errors.")
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    parser.parse_args().out.write_text(document())


if __name__ == "__main__":
    main()
