"""The queue of training runs: those that wait, and as many that train as there are places for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from server.logs import on_behalf_of
from server.training.folders import RunFolders
from server.training.records import Records
from server.training.run import TrainingRun, TrainingState
from server.training.supervision import Supervision

log = logging.getLogger(__name__)

# How soon it is tried again to save how a run ended, and to find a place for one that waits: a cluster grows
# and shrinks.
RETRY_S = 2.0


class Queue:
    """Trains what waits, in order, each run on a thread of its own, until `close`.

    `changed` is the lock of the runs: held by whoever calls `add`, `remove`, `position`, `waiting` or
    `training`, and told of each run that comes or ends.
    """

    def __init__(
        self,
        changed: threading.Condition,
        records: Records,
        folders: RunFolders,
        at_once: Callable[[], int],
        supervise: Callable[[TrainingRun], Supervision],
        tell: Callable[..., None],
    ) -> None:
        """`at_once()` is how many may train at this moment; `tell(*training_ids)` tells who listens."""
        self._changed = changed
        self._records = records
        self._folders = folders
        self._at_once = at_once
        self._supervise = supervise
        self._tell = tell
        self._waiting: deque[str] = deque()
        self._training: dict[str, Supervision] = {}
        self._threads: set[threading.Thread] = set()
        self._places = 1
        self._is_answered = True
        self._is_closing = False
        self._dispatcher = threading.Thread(target=self._dispatch, name="trainings", daemon=True)

    def begin(self, training_ids: Iterable[str]) -> None:
        """Start to train, with these in front."""
        self._waiting.extend(training_ids)
        self._dispatcher.start()

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called: nothing is begun any more."""
        return self._is_closing

    @property
    def waiting(self) -> tuple[str, ...]:
        """The runs that wait, in order."""
        return tuple(self._waiting)

    def training(self, training_id: str) -> Supervision | None:
        """What sees a run through that trains; None for one that does not."""
        return self._training.get(training_id)

    def position(self, training_id: str) -> int:
        """The place of a run among those that wait, from 1; 0 when it does not wait."""
        return self._waiting.index(training_id) + 1 if training_id in self._waiting else 0

    def is_full(self, places: int, waiting: int) -> bool:
        """Whether `places` train and `waiting` wait, or as many in all."""
        return len(self._waiting) + len(self._training) >= places + waiting

    def add(self, training_id: str) -> None:
        """Let a run wait behind all others."""
        self._waiting.append(training_id)
        self._changed.notify_all()

    def remove(self, training_id: str) -> None:
        """Let a run wait no longer."""
        self._waiting.remove(training_id)

    def places(self) -> int:
        """How many may train at once, as far as is known. Not to be asked with the lock: it may take time."""
        try:
            places, self._is_answered = self._at_once(), True
        except Exception:
            # A cluster that does not answer holds what it held: whether a run finds its place there shows.
            if self._is_answered:
                log.warning("it is not known how many trainings there are places for", exc_info=True)
            places, self._is_answered = self._places, False
        self._places = places
        return places

    def close(self) -> None:
        """End every child and every thread. What trains or waits goes on with the next server."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._dispatcher.join()
        with self._changed:
            supervisions = list(self._training.values())
            threads = list(self._threads)
        if supervisions:
            # Side by side: each child may take a second to end.
            with ThreadPoolExecutor(len(supervisions)) as pool:
                list(pool.map(Supervision.interrupt, supervisions))
        for thread in threads:
            thread.join()
        with self._changed:
            self._records.save_ended()

    def _dispatch(self) -> None:
        while True:
            places = self.places()
            with self._changed:
                is_unsaved = self._records.save_ended()
                if self._is_closing:
                    return
                if not self._waiting or len(self._training) >= places:
                    self._changed.wait(RETRY_S if is_unsaved or self._waiting else None)
                    continue
                thread = self._next()
                moved_up = tuple(self._waiting)
            self._tell(*moved_up)
            thread.start()

    def _next(self) -> threading.Thread:
        """Take the first that waits; gives the thread to see it through, which has yet to be started."""
        training_id = self._waiting.popleft()
        run = self._records.get(training_id)
        assert run is not None
        supervision = self._supervise(run)
        thread = threading.Thread(
            target=self._see_through, args=(run, supervision), name=f"training-{training_id}", daemon=True
        )
        self._training[training_id] = supervision
        self._threads.add(thread)
        return thread

    def _see_through(self, run: TrainingRun, supervision: Supervision) -> None:
        with on_behalf_of(run.call_id):
            ended = supervision.run()
            with self._changed:
                if ended.state.is_final:
                    self._folders.forget_checkpoints(ended.training_id)
                    self._records.retire(ended)
                else:
                    # The server goes down in order, and the next one goes on with it: as one that waits, so
                    # that it does not count as cut off.
                    self._records.save(replace(ended, state=TrainingState.QUEUED))
                del self._training[ended.training_id]
                self._changed.notify_all()
            extra = {"training_id": ended.training_id, "state": ended.state.value}
            log.info("training ended", extra=extra)
        self._tell(ended.training_id)
        with self._changed:
            self._threads.discard(threading.current_thread())
