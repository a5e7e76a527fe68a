"""The queue of training runs: one trains, up to eight wait in order."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from server.datasets import DataPreparation
from server.errors import (
    BaseVersionGone,
    InvalidArgument,
    ModelInUse,
    ModelNotFound,
    NoSamples,
    NothingDeployed,
    ShuttingDown,
    TrainingFinished,
    TrainingNotFound,
    TrainingQueueFull,
    TrainingWaiting,
)
from server.gate import GateReport
from server.logs import REQUEST_ID, on_behalf_of
from server.models import ModelStore, ModelVersion
from server.recipes import RECIPES, find, resolve
from server.samples import SampleSet
from server.samples.sets import sample_set
from server.training.folders import RunFolders
from server.training.run import TrainingRun, TrainingState
from server.training.supervision import MAX_RESUMES, Supervision
from server.training.table import TrainingTable
from server.training.watchdog import Patience

log = logging.getLogger(__name__)

MAX_WAITING = 8
# How long a cancel waits for its run to be gone: what the child is given to end, and some time to clear up.
CANCEL_S = 1.9
# How soon it is tried again to save how a run ended.
RETRY_SAVE_S = 2.0
INTERRUPTED = (
    f"the server stopped while it ran, after it had gone on by itself {MAX_RESUMES} times; start it again"
)

Subscriber = Callable[[str], None]


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
    ) -> None:
        """Take up the runs that an earlier server left: one that ran goes on first, then those that waited.

        `folder` is the data directory: the children's logs, checkpoints and TensorBoard's logs go there.
        `on_version(version, deploy)` is called once a run's version is in the store, on the thread that
        supervises; the run has succeeded when it returns how the version did at the gate. `samples()` gives
        those to train on, `deployed()` the version that answers.
        """
        self._table = TrainingTable(database)
        self._store = store
        self._data = data
        self._folders = RunFolders(folder)
        self._patience = patience or Patience()
        self._on_version = on_version
        self._samples = samples
        self._deployed = deployed
        self._changed = threading.Condition()
        self._subscribers: list[Subscriber] = []
        self._waiting: deque[str] = deque()
        # The runs that wait or train, as they are this moment; their rows are written less often.
        self._live: dict[str, TrainingRun] = {}
        # Those of which it was logged that they cannot be.
        self._unsaved: set[str] = set()
        self._current: Supervision | None = None
        self._is_closing = False
        self._take_up()
        self._worker = threading.Thread(target=self._work, name="trainings", daemon=True)
        self._worker.start()

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
            if request_id and (known := self._table.by_request(request_id)):
                return self._now(known)
        if find(recipe).uses_samples:
            self._base(recipe, base_version)
            # Without the lock: they may have to wait until test digits are known.
            self._data.data()
            if not len(self._samples()):
                raise NoSamples
        with self._changed:
            if request_id and (known := self._table.by_request(request_id)):
                return self._now(known)
            if self._is_closing:
                raise ShuttingDown("the server is going down; start the training when it is back", 5.0)
            # Refuses now what could only fail later.
            base = self._base(recipe, base_version)
            options = resolve(recipe, overrides, None if base is None else base.options)
            data = self._data.data()
            if base is not None:
                data.split_after(base.train_partitions)
            if len(self._waiting) + (self._current is not None) > MAX_WAITING:
                raise TrainingQueueFull(MAX_WAITING)
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
            self._table.insert(run)
            self._live[run.training_id] = run
            self._waiting.append(run.training_id)
            self._changed.notify_all()
            run = self._now(run)
        log.info("training queued", extra={"training_id": run.training_id, "recipe": recipe})
        self._tell(run.training_id)
        return run

    def get(self, training_id: str) -> TrainingRun:
        """One run as it is now. Raises TrainingNotFound."""
        with self._changed:
            run = self._live.get(training_id) or self._table.get(training_id)
            if run is None:
                raise TrainingNotFound(training_id)
            return self._now(run)

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
            for run in self._live.values():
                if run.base_version == version:
                    why = (
                        f"is what the training {run.training_id} goes on from; wait for its end, or cancel it"
                    )
                    raise ModelInUse(version, why)
            yield

    def cancel(self, training_id: str) -> TrainingRun:
        """End a run that waits or trains, and return it, within two seconds. It leaves no version.

        Raises TrainingNotFound, or TrainingFinished when the run has ended, or is complete and being put in
        place.
        """
        with self._changed:
            run = self.get(training_id)
            supervision = self._current
            if is_waiting := training_id in self._waiting:
                cancelled = replace(_ended(run, TrainingState.CANCELLED), queue_position=0)
                # First: where that cannot be kept, on a full disk, nothing is changed.
                self._table.update(cancelled)
                self._waiting.remove(training_id)
                self._retire(cancelled)
                moved_up = tuple(self._waiting)
        if is_waiting:
            self._tell(training_id, *moved_up)
            return self.get(training_id)
        if supervision is None or supervision.training_id != training_id or not supervision.cancel():
            raise _finished(run, "cancel")
        with self._changed:
            self._changed.wait_for(lambda: self.get(training_id).state.is_final, timeout=CANCEL_S)
            return self.get(training_id)

    def stop(self, training_id: str) -> TrainingRun:
        """Have a run that trains end with its best epoch so far, and return it at once, still running.

        The first epoch is finished in any case. Raises TrainingNotFound, TrainingWaiting, or TrainingFinished
        when the run has ended, or is complete and being put in place.
        """
        with self._changed:
            run = self.get(training_id)
            supervision = self._current
            if training_id in self._waiting:
                raise TrainingWaiting(training_id)
        # Without the lock: the run tells its change under one of its own.
        if supervision is None or supervision.training_id != training_id or not supervision.end_early():
            raise _finished(run, "stop")
        log.info("training told to end early", extra={"training_id": training_id})
        return self.get(training_id)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call `callback(training_id)` at each change of a run, from whichever thread; returns what ends
        that.

        It must return soon: the run waits for it.
        """
        with self._changed:
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self._changed:
                if callback in self._subscribers:
                    self._subscribers.remove(callback)

        return unsubscribe

    def close(self) -> None:
        """End the child and the supervising thread. What trains or waits goes on with the next server."""
        with self._changed:
            self._is_closing = True
            supervision = self._current
            self._changed.notify_all()
        if supervision is not None:
            supervision.interrupt()
        self._worker.join()

    def _take_up(self) -> None:
        """Go on with what an earlier server left: a run that still says it trains was cut off with it."""
        interrupted: list[TrainingRun] = []
        for run in self._table.in_state(TrainingState.RUNNING):
            if version := self._made_by(run.training_id):
                self._take_over(run, version)
            elif run.resumes >= MAX_RESUMES:
                self._table.update(_ended(run, TrainingState.FAILED, failure_reason=INTERRUPTED))
            else:
                # In front of those that wait: it was before them.
                run = replace(run, state=TrainingState.QUEUED, resumes=run.resumes + 1)
                self._table.update(run)
                interrupted.append(run)
        waiting = [
            run
            for run in self._table.in_state(TrainingState.QUEUED)
            if run.training_id not in {each.training_id for each in interrupted}
        ]
        for run in (*interrupted, *waiting):
            self._live[run.training_id] = run
            self._waiting.append(run.training_id)
        self._folders.clean(live=self._live)

    def _base(self, recipe: str, number: int | None) -> ModelVersion | None:
        """The version that a run of this recipe goes on from, which has learnt no samples."""
        if not RECIPES[recipe].uses_samples:
            if number is not None:
                raise InvalidArgument(
                    "base_version", f"expected none, because {recipe} begins anew, got {number}"
                )
            return None
        if number is None and (number := self._deployed()) is None:
            raise NothingDeployed
        version = self._store.get(number)
        if version.base_version is None:
            return version
        try:
            return self._store.get(version.base_version)
        except ModelNotFound:
            raise BaseVersionGone(version.version, version.base_version) from None

    def _made_by(self, training_id: str) -> int | None:
        """The version that a run has made, if it has."""
        made = (version.version for version in self._store.list() if version.training_id == training_id)
        return next(made, None)

    def _take_over(self, run: TrainingRun, version: int) -> None:
        """A version was put in place, and its run cut off before that was noted."""
        gate = None
        try:
            gate = self._on_version(version, run.deploy_when_done)
        except Exception:
            log.exception("version not taken up", extra={"model_version": version})
        self._table.update(_ended(run, TrainingState.SUCCEEDED, model_version=version, gate=gate))

    def _work(self) -> None:
        """Train what waits, one after the other, until `close`."""
        while True:
            with self._changed:
                while not self._waiting and not self._is_closing:
                    self._changed.wait(RETRY_SAVE_S if self._save_ended() else None)
                if self._is_closing:
                    self._save_ended()
                    return
                run = self._live[self._waiting.popleft()]
                self._current = Supervision(
                    run,
                    self._store,
                    self._data,
                    self._folders,
                    self._patience,
                    self._on_version,
                    self._samples,
                    self._update,
                )
                moved_up = tuple(self._waiting)
            self._tell(*moved_up)
            with on_behalf_of(run.call_id):
                ended = self._current.run()
            with self._changed:
                if ended.state.is_final:
                    self._retire(ended)
                else:
                    # The server goes down in order, and the next one goes on with it: as one that waits, so
                    # that it does not count as cut off.
                    self._save(replace(ended, state=TrainingState.QUEUED))
                self._current = None
                self._changed.notify_all()
            with on_behalf_of(run.call_id):
                extra = {"training_id": ended.training_id, "state": ended.state.value}
                log.info("training ended", extra=extra)
            self._tell(ended.training_id)

    def _update(self, run: TrainingRun, is_milestone: bool) -> None:
        """Note how a run is now. Milestones are stored; what lies between is told, and forgotten at a
        crash.
        """
        with self._changed:
            self._live[run.training_id] = run
            if is_milestone:
                self._save(run)
        self._tell(run.training_id)

    def _retire(self, run: TrainingRun) -> None:
        """Note how a run ended."""
        self._live[run.training_id] = run
        self._folders.forget_checkpoints(run.training_id)
        if self._save(run):
            del self._live[run.training_id]

    def _save_ended(self) -> bool:
        """Note again how runs ended where that could not be saved; whether there are any left."""
        ended = [run for run in self._live.values() if run.state.is_final]
        for run in ended:
            if self._save(run):
                del self._live[run.training_id]
        return any(run.state.is_final for run in self._live.values())

    def _save(self, run: TrainingRun) -> bool:
        try:
            self._table.update(run)
        except (SQLAlchemyError, OSError) as error:
            # A full disk, say. The run goes on and is told from memory, and how it ended is saved later.
            if run.training_id not in self._unsaved:
                log.error("training not saved", extra={"training_id": run.training_id, "reason": str(error)})
            self._unsaved.add(run.training_id)
            return False
        self._unsaved.discard(run.training_id)
        return True

    def _now(self, run: TrainingRun) -> TrainingRun:
        """A run with what is in memory only: its latest progress, its place in the queue."""
        run = self._live.get(run.training_id, run)
        if run.training_id not in self._waiting:
            return run
        return replace(run, queue_position=self._waiting.index(run.training_id) + 1)

    def _tell(self, *training_ids: str) -> None:
        with self._changed:
            subscribers = tuple(self._subscribers)
        for training_id in training_ids:
            for callback in subscribers:
                try:
                    callback(training_id)
                except Exception:
                    # Somebody who listens badly must not end a training.
                    log.exception("a subscriber failed", extra={"training_id": training_id})


def _ended(run: TrainingRun, state: TrainingState, **changes: Any) -> TrainingRun:
    return replace(run, state=state, ended=datetime.now(UTC), **changes)


def _finished(run: TrainingRun, verb: str) -> TrainingFinished:
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
