"""Training runs: start them, look at them, stop and cancel them."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from server.datasets import DataPreparation
from server.errors import (
    ModelInUse,
    NoSamples,
    ShuttingDown,
    TrainingFinished,
    TrainingNotFound,
    TrainingQueueFull,
    TrainingWaiting,
)
from server.gate import GateReport
from server.logs import REQUEST_ID
from server.models import ModelStore
from server.recipes import find, resolve
from server.samples import SampleSet
from server.samples.sets import sample_set
from server.training.base import base_of
from server.training.child import TrainingChild
from server.training.folders import RunFolders
from server.training.launch import Launch
from server.training.queue import Queue
from server.training.records import Records
from server.training.run import TrainingRun, TrainingState
from server.training.subscribers import Subscriber, Subscribers
from server.training.supervision import Supervision
from server.training.table import TrainingTable
from server.training.taking_up import take_up
from server.training.watchdog import Patience

log = logging.getLogger(__name__)

# For each that may train.
MAX_WAITING = 8
# How long a cancel waits for its run to be gone: what the child is given to end, and some time to clear up.
CANCEL_S = 1.9


class Trainings:
    """Training runs, past, present and waiting. May be used from any thread."""

    def __init__(
        self,
        database: Engine,
        store: ModelStore,
        data: DataPreparation,
        folder: Path,
        on_version: Callable[[int, bool], GateReport],
        patience: Patience | None = None,
        samples: Callable[[], SampleSet] = lambda: sample_set(()),
        deployed: Callable[[], int | None] = lambda: None,
        launch: Launch = TrainingChild,
        at_once: Callable[[], int] = lambda: 1,
    ) -> None:
        """Take up the runs that an earlier server left: those that ran go on first, then those that waited.

        `folder` is the data directory: the children's logs, checkpoints and TensorBoard's logs go there.
        `on_version(version, deploy)` is called once a run's version is in the store, on the thread that
        supervises; the run has succeeded when it returns how the version did at the gate. It waits while what
        it needs is away, and raises that only when the server goes down: the next server calls it again.
        `samples()` gives those to train on, `deployed()` the version that answers. `launch` starts the
        program that trains, `at_once()` says how many may train at this moment; it is asked again and again.
        """
        self._table = TrainingTable(database)
        self._store = store
        self._data = data
        self._folders = RunFolders(folder)
        self._patience = patience or Patience()
        self._on_version = on_version
        self._samples = samples
        self._deployed = deployed
        self._launch = launch
        self._changed = threading.Condition()
        self._subscribers = Subscribers()
        self._records = Records(self._table)
        self._queue = Queue(
            self._changed, self._records, self._folders, at_once, self._supervise, self._subscribers.tell
        )
        left = take_up(self._table, store, on_version)
        for run in left:
            self._records.take_up(run)
        training_ids = [run.training_id for run in left]
        self._folders.clean(live=training_ids)
        self._queue.begin(training_ids)

    @property
    def at_once(self) -> int:
        """How many runs may train at the same time, as things are; 0 while there is no place for any."""
        return self._queue.places()

    def start(
        self,
        recipe: str,
        overrides: Mapping[str, object],
        *,
        base_version: int | None = None,
        deploy_when_done: bool = False,
        request_id: str | None = None,
    ) -> TrainingRun:
        """Start a run, or put it in the queue. The same `request_id` gives the same run.

        `base_version` is for a recipe that uses samples: the version to go on from, None the deployed one. Of
        a version that was taught itself it is the one that this began from: nothing that was learnt of a
        sample since is left, so that the cross-validation is honest and what was deleted is forgotten.

        Raises InvalidArgument for an option or a base that the recipe does not take, ModelNotFound,
        ModelCorrupt, NothingDeployed, NoSamples, BaseVersionGone, TrainedOnDataset, DataPreparing,
        DatasetUnavailable, TrainingQueueFull, ShuttingDown; nothing has been started then.
        """
        with self._changed:
            if known := self._known(request_id):
                return known
        if find(recipe).uses_samples:
            base_of(recipe, base_version, self._store, self._deployed)
            # Without the lock: they may have to wait until test digits are known.
            self._data.data()
            if not len(self._samples()):
                raise NoSamples
        places = self.at_once
        with self._changed:
            if known := self._known(request_id):
                return known
            if self._queue.is_closing:
                raise ShuttingDown("the server is going down; start the training when it is back", 5.0)
            # Refuses now what could only fail later.
            base = base_of(recipe, base_version, self._store, self._deployed)
            options = resolve(recipe, overrides, None if base is None else base.options)
            data = self._data.data()
            if base is not None:
                data.split_after(base.train_partitions)
            limit = MAX_WAITING * max(1, places)
            if self._queue.is_full(places, limit):
                raise TrainingQueueFull(limit, places)
            run = TrainingRun(
                training_id=secrets.token_hex(8),
                request_id=request_id or None,
                recipe=recipe,
                options=options,
                deploy_when_done=deploy_when_done,
                created=datetime.now(UTC),
                call_id=REQUEST_ID.get(),
                base_version=None if base is None else base.version,
            )
            self._records.add(run)
            self._queue.add(run.training_id)
            run = self._now(run)
        log.info("training queued", extra={"training_id": run.training_id, "recipe": recipe})
        self._subscribers.tell(run.training_id)
        return run

    def get(self, training_id: str) -> TrainingRun:
        """One run as it is now. Raises TrainingNotFound."""
        with self._changed:
            run = self._records.get(training_id)
            if run is None:
                raise TrainingNotFound(training_id)
            return self._found(run)

    def list(self, offset: int, limit: int) -> tuple[tuple[TrainingRun, ...], int]:
        """A page of runs, newest first, and how many there are in all."""
        with self._changed:
            runs, total = self._table.list(offset, limit)
            return tuple(self._now(run) for run in runs), total

    def counts(self) -> dict[TrainingState, int]:
        """How many runs there are in each state that any is in."""
        return self._table.counts()

    def gate(self, training_id: str) -> GateReport | None:
        """How the version of a run did at the gate; None for a run that is not known."""
        run = self._table.get(training_id)
        return None if run is None else run.gate

    @contextmanager
    def keep_off(self, version: int) -> Iterator[None]:
        """Let no run start from a version while that is deleted. Raises ModelInUse when one has."""
        with self._changed:
            for run in self._records.live:
                if run.base_version == version:
                    why = (
                        f"is what the training {run.training_id} goes on from; wait for its end, or cancel it"
                    )
                    raise ModelInUse(version, why)
            yield

    def cancel(self, training_id: str) -> TrainingRun:
        """End a run that waits or trains, and return it, within two seconds. It leaves no version.

        Raises TrainingNotFound, or TrainingFinished when the run has ended, or is complete and being put in
        place; what the database raises when that cannot be stored: the run ends, and a crash may undo it.
        """
        with self._changed:
            run = self.get(training_id)
            supervision = self._queue.training(training_id)
            if is_waiting := run.queue_position > 0:
                cancelled = replace(run.ended_as(TrainingState.CANCELLED), queue_position=0)
                # First: where that cannot be kept, on a full disk, nothing is changed.
                self._table.update(cancelled)
                self._queue.remove(training_id)
                self._folders.forget_checkpoints(training_id)
                self._records.retire(cancelled)
                moved_up = self._queue.waiting
        if is_waiting:
            self._subscribers.tell(training_id, *moved_up)
            return self.get(training_id)
        if supervision is None or not supervision.cancel():
            raise _refusal(run, "cancel")
        with self._changed:
            self._changed.wait_for(lambda: self.get(training_id).state.is_final, timeout=CANCEL_S)
            # It has ended all the same, and that is stored once it can be; only nobody may rely on it yet.
            self._records.refuse_unsaved(training_id)
            return self.get(training_id)

    def stop(self, training_id: str) -> TrainingRun:
        """Have a run that trains end with its best epoch so far, and return it at once, still running.

        The first epoch is finished in any case. Raises TrainingNotFound, TrainingWaiting, or TrainingFinished
        when the run has ended, or is complete and being put in place.
        """
        with self._changed:
            run = self.get(training_id)
            supervision = self._queue.training(training_id)
            if run.queue_position:
                raise TrainingWaiting(training_id)
        # Without the lock: the run tells its change under one of its own.
        if supervision is None or not supervision.end_early():
            raise _refusal(run, "stop")
        log.info("training told to end early", extra={"training_id": training_id})
        with self._changed:
            self._records.refuse_unsaved(training_id)
            return self.get(training_id)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call `callback(training_id)` at each change of a run, from whichever thread; returns what ends
        that.

        It must return soon: the run waits for it.
        """
        return self._subscribers.add(callback)

    def close(self) -> None:
        """End the children and the supervising threads. What trains or waits goes on with the next server."""
        self._queue.close()

    def _supervise(self, run: TrainingRun) -> Supervision:
        return Supervision(
            run,
            self._store,
            self._data,
            self._folders,
            self._patience,
            self._on_version,
            self._samples,
            self._launch,
            self._update,
        )

    def _update(self, run: TrainingRun, is_milestone: bool) -> None:
        """Note how a run is now, and tell it."""
        with self._changed:
            self._records.note(run, is_milestone)
        self._subscribers.tell(run.training_id)

    def _known(self, request_id: str | None) -> TrainingRun | None:
        """The run that a request has started already. For who holds the lock."""
        run = self._table.by_request(request_id) if request_id else None
        return None if run is None else self._found(run)

    def _found(self, run: TrainingRun) -> TrainingRun:
        """A run as it is now. For who holds the lock.

        One that should wait and that nobody knows was stored by a commit whose answer was lost: it waits from
        now on.
        """
        is_unknown = run.state is TrainingState.QUEUED and not self._records.is_live(run.training_id)
        if is_unknown and not self._queue.is_closing:
            self._records.take_up(run)
            self._queue.add(run.training_id)
            log.info("training taken up", extra={"training_id": run.training_id, "recipe": run.recipe})
        return self._now(run)

    def _now(self, run: TrainingRun) -> TrainingRun:
        """A run with what is in memory only: its latest progress, its place in the queue."""
        return replace(self._records.latest(run), queue_position=self._queue.position(run.training_id))


def _refusal(run: TrainingRun, verb: str) -> TrainingFinished | ShuttingDown:
    """Why a run cannot be cancelled or stopped that neither waits nor trains."""
    if run.state is TrainingState.QUEUED:
        return ShuttingDown(f"the server is going down; {verb} the training when it is back", 5.0)
    state = (
        "is complete and being put in place"
        if run.state is TrainingState.RUNNING
        else f"has {_PAST[run.state]}"
    )
    return TrainingFinished(
        f"training_id: the training {run.training_id} {state}; there is nothing left to {verb}",
        training_id=run.training_id,
    )


_PAST = {
    TrainingState.SUCCEEDED: "succeeded already",
    TrainingState.FAILED: "failed already",
    TrainingState.CANCELLED: "been cancelled already",
}
