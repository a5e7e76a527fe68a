"""From a failed call to the error that a program understands, by its status and its `google.rpc` details."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from digits.client.errors import ClientError, Refused, ServerFault, ServerUnavailable
from digits.v1 import prediction_pb2

FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)
# Nobody here cancels a call and then asks how it went: it was the library in a server that goes down, or that
# has far too many waiting, for calls that it has not looked at.
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def failure(error: grpc.RpcError, address: str, request_id: str) -> ClientError:
    """A failed call of either kind of client as one of the tree of `errors`."""
    field, reason, retry_after_s = "", "", None
    message = error.details() or ""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # The error of a call is the call.
    for detail in status.details if status else ():
        info, bad, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad) and bad.field_violations:
            field, message = bad.field_violations[0].field, bad.field_violations[0].description
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    code: grpc.StatusCode = error.code()
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServerUnavailable(address, is_slow=True, reason=reason, request_id=request_id)
    if code in GONE and reason in ("", "SHUTTING_DOWN"):
        return ServerUnavailable(address, reason=reason, retry_after_s=retry_after_s, request_id=request_id)
    if code == grpc.StatusCode.UNIMPLEMENTED:
        text = "The server does not know this call: it is older than this client."
        return ServerFault(text, code=code.name, reason=reason, request_id=request_id)
    if code in FAULTS:
        text = f"The server failed ({code.name.lower()}); its log tells more."
        return ServerFault(text, code=code.name, reason=reason, request_id=request_id)
    return Refused(
        message,
        code=code.name,
        reason=reason,
        field=field,
        retry_after_s=retry_after_s,
        request_id=request_id,
    )


def refusal(message: prediction_pb2.Refusal) -> ClientError:
    """Why one image of a stream has no prediction."""
    code = _NAMES.get(message.code, "UNKNOWN")
    if code in {fault.name for fault in FAULTS}:
        return ServerFault(f"The server failed ({code.lower()}); its log tells more.", code=code)
    text = message.message.removeprefix(f"{message.field}: ")
    return Refused(text, code=code, reason=message.reason, field=message.field)
