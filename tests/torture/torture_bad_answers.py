"""Whether an answer to a bad call is one that the contract has, and tells nothing of the inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import grpc
from digits.oip import open_inference_pb2 as oip
from digits.v1 import prediction_pb2 as prediction
from google.rpc import error_details_pb2, status_pb2
from torture_bad_calls import Answer, Case, Manner
from torture_bad_catalogue import ENDLESS, INFERENCE, PREDICTION
from torture_parts import ROOT

CODE = grpc.StatusCode
WRONG = (CODE.INTERNAL, CODE.UNKNOWN, CODE.DATA_LOSS, CODE.ABORTED)
# What tells of a program's inside: traces, names of Python's, addresses, paths.
INSIDE = re.compile(
    r"Traceback|File \"|\b[A-Za-z]\w+(Error|Exception|Warning)\b|<class |<[\w.]+ object| at 0x[0-9a-f]|"
    r"\.py\b|site-packages|/(work|root|home|tmp|usr|var|opt)/|\bsqlite|\bSELECT\b|numpy\.|ast\."
)
BUG = "an error inside the server"


@cache
def reasons() -> dict[str, str]:
    """The reasons that docs/errors.md lists, and the code of each."""
    text = (ROOT / "docs" / "errors.md").read_text()
    return dict(re.findall(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \|", text, re.MULTILINE))


def is_bug(case: Case, answer: Answer) -> bool:
    """Whether it owns to a bug."""
    return answer.code in WRONG or any(BUG in text for text in _told_within(case, answer))


def faults(case: Case, answer: Answer) -> list[str]:
    """What is wrong with an answer; nothing, as it should be."""
    if answer.code in WRONG:
        return [f"ended with {answer.code.name}: {answer.text[:300]}"]
    found = [f"told of a bug within a stream: {text}" for text in _told_within(case, answer) if BUG in text]
    found += [f"told of the inside: {text[:300]}" for text in _texts(case, answer) if _tells(text, case)]
    if answer.code is CODE.OK or _ends_by_itself(case, answer):
        return found
    return found + list(_faults_of_refusal(answer))


def _ends_by_itself(case: Case, answer: Answer) -> bool:
    """Whether gRPC, or the caller, has ended the call, and no refusal is to be looked at."""
    if answer.code is CODE.CANCELLED:
        return case.manner in (Manner.CANCELLED, Manner.SLOW)
    if answer.code is CODE.DEADLINE_EXCEEDED:
        return case.path in ENDLESS or case.manner in (Manner.LATE, Manner.HALF_OPEN)
    return answer.code is CODE.RESOURCE_EXHAUSTED and case.is_oversized


def _faults_of_refusal(answer: Answer) -> Iterator[str]:
    packed = answer.trailing.get("grpc-status-details-bin")
    if packed is None:
        yield f"ended with {answer.code.name} without details: {answer.text[:300]}"
        return
    status = status_pb2.Status.FromString(packed)
    details = {detail.type_url.rpartition(".")[2]: detail for detail in status.details}
    info = error_details_pb2.ErrorInfo()
    details["ErrorInfo"].Unpack(info)
    if reasons().get(info.reason) != answer.code.name:
        yield f"ended with {answer.code.name} for the reason {info.reason!r}, not listed"
    if not answer.text or status.message != answer.text:
        yield f"says {answer.text[:200]!r} and, in its details, {status.message[:200]!r}"
    if answer.code is CODE.INVALID_ARGUMENT:
        request = error_details_pb2.BadRequest()
        if "BadRequest" in details:
            details["BadRequest"].Unpack(request)
        if not [one for one in request.field_violations if one.field and one.description]:
            yield f"names no field: {answer.text[:300]}"
    if answer.code is CODE.UNAVAILABLE and "RetryInfo" not in details:
        yield f"does not say when to come back: {answer.text[:300]}"
    if not answer.trailing.get("x-request-id"):
        yield "carries no request id"


def _texts(case: Case, answer: Answer) -> Iterator[str]:
    """Everything that it says to a person."""
    yield answer.text
    yield from _told_within(case, answer)
    packed: Any = answer.trailing.get("grpc-status-details-bin", b"")
    for detail in status_pb2.Status.FromString(packed).details:
        yield detail.value.decode(errors="replace")


def _told_within(case: Case, answer: Answer) -> list[str]:
    """What the replies of a stream say of requests that were refused while it goes on."""
    if case.path == f"{PREDICTION}/StreamPredict":
        return [prediction.StreamPredictResponse.FromString(one).refusal.message for one in answer.replies]
    if case.path == f"{INFERENCE}/ModelStreamInfer":
        return [oip.ModelStreamInferResponse.FromString(one).error_message for one in answer.replies]
    return []


def _tells(text: str, case: Case) -> bool:
    """Whether a text has words of the inside, which its reader did not send."""
    words = [match.group(0).encode() for match in INSIDE.finditer(text)]
    return any(all(word not in message for message in case.messages) for word in words)
