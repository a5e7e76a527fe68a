"""Refusing what would wait too long, at once, with a time to come back that spreads the returns out.

What waits is bounded in time, not in number: a slow machine holds fewer requests than a fast one, and an
answer that was promised comes in time on both.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from server.errors import Overloaded

log = logging.getLogger(__name__)

# What a request may expect to wait, at the pace of late. Twice that still leaves time for the answer.
MAX_WAIT_S = 0.04
# So many may always wait: a burst this small is gone in a moment.
MIN_WAITING = 64
# With so many waiting there is always a next one.
BUSY = 8
# To count those who wait takes 0.3 ms, so it is not done for everyone.
LOOK_EVERY = 32
STALE_S = 0.1
MAX_REFUSED_IN_A_ROW = 3
# Who was refused comes back at this share of the pace: a refusal costs half as much as an answer.
RETURNING_SHARE = 0.3
MIN_RETRY_S = 0.05
MAX_RETRY_S = 1.0
TELL_EVERY_S = 1.0


class Admission:
    """Lets requests in or refuses them. Use it from one thread."""

    def __init__(self, waiting: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        """`waiting` counts the requests that have come and are not answered, those not yet seen here too."""
        self._waiting = waiting
        self._clock = clock
        self._looked = clock()
        self._seen = self._admitted = 0
        self._too_many = 0
        self._refused_in_a_row = 0
        self._was_busy = False
        self._seconds_per_request = 0.0
        self._next_return = 0.0
        self._refused = 0
        self._told = 0.0

    def admit(self) -> None:
        """Return at once. Raises Overloaded when too many wait; every refusal names another moment to return.

        Of four requests in a row one is always let in, however many wait: refusing takes time as well, and
        senders who do not listen must not leave everybody without an answer.
        """
        self._seen += 1
        if self._seen >= LOOK_EVERY:
            self._look()
        elif self._too_many and self._clock() - self._looked > STALE_S:
            # A crowd of a while ago: whoever comes after it finds nobody before them.
            self._was_busy = False
            self._look()
        if self._too_many > 0 and self._refused_in_a_row < MAX_REFUSED_IN_A_ROW:
            self._too_many -= 1
            self._refused_in_a_row += 1
            raise self._refusal()
        self._refused_in_a_row = 0
        self._admitted += 1

    def _look(self) -> None:
        now, waiting = self._clock(), self._waiting()
        # The pace shows only while there is no pause between requests.
        if self._was_busy:
            self._seconds_per_request = (now - self._looked) / max(1, self._admitted)
        self._too_many = 0
        if self._seconds_per_request:
            limit = max(MIN_WAITING, int(MAX_WAIT_S / self._seconds_per_request))
            self._too_many = max(0, waiting - limit)
        self._was_busy = waiting >= BUSY
        self._looked, self._seen, self._admitted = now, 0, 0

    def _refusal(self) -> Overloaded:
        now = self._clock()
        spacing = self._seconds_per_request / RETURNING_SHARE
        self._next_return = max(now + MIN_RETRY_S, self._next_return + spacing)
        self._next_return = min(self._next_return, now + MAX_RETRY_S)
        self._refused += 1
        # A line for every refusal would be the work that there is no time for.
        if now - self._told >= TELL_EVERY_S:
            log.warning("overloaded", extra={"refused": self._refused})
            self._told, self._refused = now, 0
        return Overloaded(
            "more predictions wait than can be answered in time; try again after the delay in RetryInfo",
            retry_after_s=self._next_return - now,
        )
