"""Whose calls were let in lately. An ingress has no tokens, on most machines: it asks those who have them.

Who answers a call checks its token again, whatever is remembered here: this decides only whose requests an
ingress reads without asking first.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from server.cluster.calls import Call
from server.credentials import Role
from server.rpc.access import METHODS, UNLISTED, bearer_token

REMEMBERED_S = 30.0
# Where no tokens are asked for anybody can make some up.
MAX_REMEMBERED = 1024


class Accepted:
    """Remembers digests of tokens, never a token, with the roles that they were enough for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[Role, bytes], float] = {}

    def includes(self, call: Call) -> bool:
        """Whether a call of this token, for the same role, was let in lately, or anybody may make it."""
        key = _key(call)
        return key is None or self._until.get(key, 0.0) > self._clock()

    def add(self, call: Call) -> None:
        """Remember that this one was let in."""
        key = _key(call)
        if key is None:
            return
        if len(self._until) >= MAX_REMEMBERED:
            self._until.clear()
        self._until[key] = self._clock() + REMEMBERED_S


def _key(call: Call) -> tuple[Role, bytes] | None:
    role = METHODS.get(call.method, UNLISTED).role
    if role is None:
        return None
    token = bearer_token(call.metadata) or ""
    return role, hashlib.sha256(token.encode()).digest()
