"""When a failed call is sent again: never beyond its deadline, and never when it might be done twice."""

from __future__ import annotations

import random
import re
import time
import uuid

import grpc

from digits.client.call import Deadlines, Terms
from digits.client.errors import ClientError
from digits.client.failures import failure

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
TOKEN = re.compile(r"[\x21-\x7e]+")


class Caller:
    """What both clients are: an address, who calls there, and how patiently."""

    def __init__(self, address: str, token: str, deadlines: Deadlines | None, retries: int) -> None:
        if token and not TOKEN.fullmatch(token):
            # gRPC would fail at each call, without a word why. Nor does this say what came: that is a secret.
            raise ValueError("expected a token of one line without spaces, of letters, digits and ._~+/=-")
        self.address = address
        self._token = token
        self._deadlines = deadlines or Deadlines()
        self._retries = retries

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    def _begin(self, terms: Terms) -> Attempts:
        timeout_s = self._deadlines.of(terms.kind) if terms.timeout_s is None else terms.timeout_s
        retries = self._retries if terms.is_repeatable else 0
        return Attempts(self.address, self._token, timeout_s, retries)


class Attempts:
    """The attempts of one call, all under one id. `retries`: how often it is sent again without a server."""

    def __init__(self, address: str, token: str, timeout_s: float, retries: int) -> None:
        self._address = address
        self._deadline = time.monotonic() + timeout_s
        self._retries = retries
        self._done = 0
        self._request_id = uuid.uuid4().hex
        self.metadata: tuple[tuple[str, str], ...] = (("x-request-id", self._request_id),)
        if token:
            self.metadata += (("authorization", f"Bearer {token}"),)

    def left_s(self) -> float:
        """Seconds until the deadline, 0 after it."""
        return max(0.0, self._deadline - time.monotonic())

    def begin_anew(self) -> None:
        """Something came: what fails from now on is another failure."""
        self._done = 0

    def pause_s(self, error: grpc.RpcError, *, may_repeat: bool = True) -> float:
        """Seconds to wait before the next attempt. Raises the error as a ClientError if there shall be none.

        A server that is overloaded says when to come back (google.rpc.RetryInfo) and did nothing yet: any
        call is sent again then, as often as the deadline allows. While the server is unavailable, a call that
        is safe to repeat is, a few times, with pauses that grow, unless the server names one. No two clients
        wait equally long, so that they do not all come back at once.
        """
        refused = failure(error, self._address, self._request_id)
        pause_s = self._pause_s(refused) if may_repeat else None
        if pause_s is None or pause_s >= self.left_s():
            raise refused from None
        return pause_s

    def _pause_s(self, refused: ClientError) -> float | None:
        told_s = refused.retry_after_s
        if refused.code == "RESOURCE_EXHAUSTED" and told_s is not None:
            return max(told_s, FIRST_PAUSE_S) * random.uniform(1, 1.1)
        if refused.code == "UNAVAILABLE" and self._done < self._retries:
            growing_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**self._done) * random.uniform(0.5, 1.5)
            self._done += 1
            return max(told_s or 0.0, growing_s)
        return None
