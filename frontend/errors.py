"""What can go wrong between the page and the server, as one tree.

ClientError
├── ServerUnavailable    nobody answers, or not in time; passes by itself when the server is back
├── Refused              the server understood and said no; `message` can be shown to a visitor
└── ServerFault          the server has a bug; its log knows more
"""

from __future__ import annotations


class ClientError(Exception):
    """A call that brought no answer. `message` is a sentence for a visitor."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ServerUnavailable(ClientError):
    """No server answers at `address`, or it is too slow or shutting down."""

    def __init__(self, address: str, *, is_slow: bool = False) -> None:
        super().__init__(
            f"The server at {address} takes too long to answer."
            if is_slow
            else f"The server at {address} is not answering."
        )
        self.address = address
        self.is_slow = is_slow


class Refused(ClientError):
    """The server refused the request.

    `field` is the path of the wrong field (empty when no single field is to blame), `reason` the stable name
    for programs such as "BLANK_IMAGE", `retry_after_s` the seconds to wait before a retry, where one helps.
    """

    def __init__(
        self, message: str, *, field: str = "", reason: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.retry_after_s = retry_after_s


class ServerFault(ClientError):
    """The server failed on a request that it should have answered."""
