"""The id of a call: the caller's own, if it sends one, and in every case what comes back with the answer.

A caller names it in the metadata `x-request-id`. Log lines carry it, here, in the training child that the
call starts, and perhaps in the caller's own log: one word finds them all.
"""

from __future__ import annotations

import itertools
import re
import secrets

from server.rpc.access import Metadata

KEY = "x-request-id"
# What other systems make: UUIDs, numbers, paths of ids. Nothing that a shell or a log would take for its own.
ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+=-]{0,127}")

# Of this process, so that the ids of two servers, or of one before and after a restart, are not alike.
_PREFIX = secrets.token_hex(5)
_numbers = itertools.count(1)


def request_id(metadata: Metadata) -> str:
    """The caller's id, when it is one that can be written down, otherwise a new one."""
    for key, value in metadata:
        if key == KEY and isinstance(value, str) and ALLOWED.fullmatch(value):
            return value
    return f"{_PREFIX}-{next(_numbers):x}"
