"""What of a sweep runs in processes of Ray's: the trials as Ray Tune knows them. They train nothing.

Kept apart from `server.cluster.tuning`, so that those processes import little.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

# How long a trial waits for its next report at a time: who waits for ever may outlast who asked.
WAIT_S = 10.0

# An epoch, from 1, and the highest validation accuracy so far.
Told = tuple[int, float]


class Mailbox:
    """A Ray actor beside the owner of the data: what it tells waits here for the trials' own processes."""

    def __init__(self) -> None:
        self._reports: defaultdict[int, list[Told]] = defaultdict(list)
        self._closed: set[int] = set()
        self._changed = asyncio.Condition()

    async def put(self, number: int, report: Told) -> None:
        """Add a report for a trial."""
        async with self._changed:
            self._reports[number].append(report)
            self._changed.notify_all()

    async def close(self, number: int) -> None:
        """Have a trial end after the reports that it has."""
        async with self._changed:
            self._closed.add(number)
            self._changed.notify_all()

    async def take(self, number: int, place: int) -> tuple[Told | None, bool]:
        """A trial's report at a place, from 0, and whether there will be none; waits for one of the two.

        Neither after some seconds: ask again. A trial whose process died asks from the first one on.
        """

        def is_there() -> bool:
            return len(self._reports[number]) > place or number in self._closed

        async with self._changed:
            try:
                async with asyncio.timeout(WAIT_S):
                    await self._changed.wait_for(is_there)
            except TimeoutError:
                return None, False
            reports = self._reports[number]
            return (reports[place], False) if len(reports) > place else (None, True)


def report_epochs(config: dict[str, Any]) -> None:
    """A trial, as Tune has it run: hand on what its training tells, until that has ended.

    `config`: the trial's `number`, and the `mailbox`.
    """
    import ray
    from ray import tune

    place, has_ended = 0, False
    while not has_ended:
        answer = config["mailbox"].take.remote(config["number"], place)
        told, has_ended = ray.get(answer)
        if told is not None:
            place += 1
            # Tune ends this thread here when the trial has fallen behind.
            tune.report({"epoch": told[0], "accuracy": told[1]})
