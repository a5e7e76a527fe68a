"""Who decides which trials are worth their time."""

from __future__ import annotations

from typing import Protocol

from server.sweeps.course import Course
from server.sweeps.halving import Halving


class Tuner(Protocol):
    """Sees the trials of a sweep through."""

    def tune(self, course: Course) -> None:
        """Have every trial train, `course.at_once` at a time, and end those that fall behind.

        Trials that ended before, under an earlier server, tell their epochs as those do that train now.
        Returns when all have ended, and soon after `course.is_over`.
        """
        ...


class OneByOne:
    """One trial after the other, compared by `Halving`: what one machine does."""

    def tune(self, course: Course) -> None:
        """Train the trials in their order."""
        halving = Halving(course.epochs if course.ends_early else 0)
        for number in course.numbers:
            for report in course.follow(number):
                if halving.is_behind(number, report.epoch, report.accuracy):
                    course.end(number)
