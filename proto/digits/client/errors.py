"""What can go wrong between a program and the server, as one tree.

ClientError
├── ServerUnavailable    nobody answers, or not in time; passes by itself when the server is back
├── Refused              the server understood and said no; `message` can be shown to a person
└── ServerFault          the server has a bug; its log knows more
"""

from __future__ import annotations


class ClientError(Exception):
    """A call that brought no answer. `message` is a sentence for a person.

    `code` is gRPC's name of the status, such as "NOT_FOUND"; `reason` the stable name for programs, such as
    "BLANK_IMAGE"; `field` the path of the wrong field; `retry_after_s` the seconds to wait before a retry,
    where one helps; `request_id` the id under which the server's log knows the call. Empty or None: not told.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        field: str = "",
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.field = field
        self.retry_after_s = retry_after_s
        self.request_id = request_id


class ServerUnavailable(ClientError):
    """No server answers at `address`, or it is too slow (`is_slow`) or shutting down."""

    def __init__(
        self,
        address: str,
        *,
        is_slow: bool = False,
        reason: str = "",
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(
            f"The server at {address} takes too long to answer."
            if is_slow
            else f"The server at {address} is not answering.",
            code="DEADLINE_EXCEEDED" if is_slow else "UNAVAILABLE",
            reason=reason,
            retry_after_s=retry_after_s,
            request_id=request_id,
        )
        self.address = address
        self.is_slow = is_slow


class Refused(ClientError):
    """The server refused the request: it says what was expected, and what came."""


class ServerFault(ClientError):
    """The server failed on a request that it should have answered."""
