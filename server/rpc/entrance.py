"""What every call passes before its request is read: its id for the log, who may make it, how many may."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

import grpc

from server.admission import Admission
from server.counters import CallCounters
from server.errors import DigitsError, Overloaded
from server.logs import REQUEST_ID
from server.rpc import status
from server.rpc.access import METHODS, Access, Metadata
from server.rpc.request_id import KEY, request_id

log = logging.getLogger(__name__)

# Methods that are not there are counted as one: anybody can make up names.
UNKNOWN = "/unknown/unknown"


class Entrance:
    """Lets calls in, or not. Use it from one thread."""

    def __init__(
        self,
        admission: Admission,
        admitted: Collection[str],
        access: Access | None = None,
        counters: CallCounters | None = None,
    ) -> None:
        """Calls of the methods `admitted`, by their full path, need to be let in by `admission`.

        `access` None: everybody may call. `counters` None: refusals are not counted.
        """
        self._admission = admission
        self._admitted = admitted
        self._access = access
        self._counters = counters

    def let_in(self, method: str, metadata: Metadata) -> str:
        """The id of a call that may go on; what is logged from now on carries it. Raises DigitsError."""
        called = request_id(metadata)
        REQUEST_ID.set(called)
        if self._access is not None:
            self._access.check(method, metadata)
        if method in self._admitted:
            self._admission.admit()
        return called

    def refusal(
        self, method: str, error: DigitsError, peer: Callable[[], str]
    ) -> tuple[grpc.StatusCode, str, status.Trailing]:
        """Note the refusal of a call whose request was not read; what its caller is told."""
        code = status.status_code(error)
        if self._counters is not None:
            self._counters.note("unread", method if method in METHODS else UNKNOWN, code.name, 0.0)
        if isinstance(error, Overloaded):
            # Of overload there may be thousands a second: admission tells how many.
            trailing = status.trailing_of_overload(error)
        else:
            log_refusal(error, method, peer())
            trailing = status.trailing_metadata(status.to_status(error))
        return code, status.to_message(error), (*trailing, (KEY, REQUEST_ID.get()))


def log_refusal(error: DigitsError, method: str, peer: str) -> None:
    """One line for a call that was refused."""
    extra = {"method": method, "reason": error.reason, "detail": status.to_message(error), "peer": peer}
    log.info("refused", extra=extra)
