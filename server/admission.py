"""Refusing what would wait too long, at once, with a time to come back that spreads the returns out.

What waits is bounded in time, not in number: a slow machine holds fewer requests than a fast one, and an
answer that was promised comes in time on both. The more wait, the larger the share that is refused: senders
who are all sent away at once come back together, and leave the server idle in between.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from server.errors import Overloaded

log = logging.getLogger(__name__)

# What a request may expect to wait, at the pace of late, before any is refused.
MAX_WAIT_S = 0.025
# So many may always wait: a burst this small is gone in a moment.
MIN_WAITING = 64
# From here on none is let in, as a multiple of the number from which some are refused.
ALL_REFUSED = 1.75
# With so many waiting there is always a next one: then the pace shows, in so many answers.
BUSY = 8
PACE_OF = 32
# To count those who wait may take 0.3 ms, and is then not done for everyone.
LOOK_EVERY = 32
STALE_S = 0.1
MAX_REFUSED_IN_A_ROW = 3
# Who is refused stays away the longer, the longer too many have waited, in seconds for a second; and soon
# less long again when few do. How many were refused is no measure: one sender may have sent a hundred.
GROWTH = 0.5
FALL_S = 0.1
FEW = 0.6
MIN_RETRY_S = 0.02
MAX_RETRY_S = 1.0
# What is longer was a pause, of those who come or of this machine.
LONGEST_STEP_S = 0.02
# Fractions that fall between those before, however many there are: the golden ratio's multiples.
GOLDEN = 0.6180339887498949
TELL_EVERY_S = 1.0


class Admission:
    """Lets requests in or refuses them. Use it from one thread."""

    def __init__(
        self,
        waiting: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        look_every: int = LOOK_EVERY,
    ) -> None:
        """`waiting` counts the requests that have come and are not answered; those of `admit` too, at the
        latest when the next one comes. It is asked at every `look_every`-th request.
        """
        self._waiting = waiting
        self._clock = clock
        self._look_every = look_every
        self._since_look = 0
        self._looked = clock()
        self._seen_waiting = 0
        self._admitted = 0
        # The beginning of the stretch whose pace is being measured: when, and how many had been answered.
        self._began, self._answered, self._was_busy = clock(), 0, False
        self._seconds_per_request = 0.0
        self._share_refused = 0.0
        self._refused_in_a_row = 0
        self._retry_s = MIN_RETRY_S
        self._place = 0.5
        self._asked = clock()
        self._refused = 0
        self._told = 0.0

    def admit(self) -> None:
        """Return at once. Raises Overloaded when too many wait; every refusal names another moment to return.

        Of four requests in a row one is always let in, however many wait: refusing takes time as well, and
        senders who do not listen must not leave everybody without an answer.
        """
        now = self._clock()
        self._since_look += 1
        if self._since_look >= self._look_every or now - self._looked > STALE_S:
            self._look(now)
        too_many = self._limit()
        self._adapt(now, too_many)
        if self._is_chosen(too_many) and self._refused_in_a_row < MAX_REFUSED_IN_A_ROW:
            self._refused_in_a_row += 1
            self._seen_waiting -= 1
            raise self._refusal(now)
        self._refused_in_a_row = 0
        self._admitted += 1

    def _look(self, now: float) -> None:
        has_paused = now - self._looked > STALE_S
        self._seen_waiting = self._waiting()
        self._looked, self._since_look = now, 0
        is_busy = self._seen_waiting >= BUSY
        answered = self._admitted - self._seen_waiting
        if is_busy and self._was_busy and not has_paused:
            if answered - self._answered < PACE_OF:
                return
            self._seconds_per_request = (now - self._began) / (answered - self._answered)
        # The pace is that of a stretch without a pause: with one it would be that of those who come.
        self._began, self._answered, self._was_busy = now, answered, is_busy

    def _limit(self) -> float:
        """How many may wait before any is refused."""
        if not self._seconds_per_request:
            return math.inf
        return max(MIN_WAITING, MAX_WAIT_S / self._seconds_per_request)

    def _adapt(self, now: float, limit: float) -> None:
        passed_s, self._asked = min(now - self._asked, LONGEST_STEP_S), now
        if self._seen_waiting > limit:
            self._retry_s = min(MAX_RETRY_S, self._retry_s + GROWTH * passed_s)
        elif self._seen_waiting < FEW * limit:
            self._retry_s = max(MIN_RETRY_S, self._retry_s * (1 - passed_s / FALL_S))

    def _is_chosen(self, limit: float) -> bool:
        """Whether this one is among those refused: a growing share, spread evenly."""
        if self._seen_waiting <= limit:
            self._share_refused = 0.0
            return False
        self._share_refused += (self._seen_waiting - limit) / (limit * (ALL_REFUSED - 1))
        if self._share_refused < 1:
            return False
        self._share_refused = min(1.0, self._share_refused - 1)
        return True

    def _refusal(self, now: float) -> Overloaded:
        self._place = (self._place + GOLDEN) % 1
        # Not before half of those who wait are answered.
        first_s = self._seen_waiting * self._seconds_per_request / 2
        retry_s = min(MAX_RETRY_S, max(first_s, self._retry_s * (0.5 + self._place)))
        self._refused += 1
        # A line for every refusal would be the work that there is no time for.
        if now - self._told >= TELL_EVERY_S:
            log.warning("overloaded", extra={"refused": self._refused})
            self._told, self._refused = now, 0
        return Overloaded(
            "more predictions wait than can be answered in time; try again after the delay in RetryInfo",
            retry_after_s=retry_s,
        )
