"""The sweeps of a server: one runs at a time, and goes on with the next server."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from server.database import is_away, outlast
from server.datasets import DataPreparation
from server.errors import ShuttingDown, SweepNotFound, SweepRunning, TrainingNotFound
from server.failures import explain
from server.gate import GateReport
from server.logs import REQUEST_ID, on_behalf_of
from server.models import ModelStore
from server.sweeps.course import Course
from server.sweeps.endings import finished, why
from server.sweeps.plan import plan
from server.sweeps.ranges import SweepRange
from server.sweeps.sweep import Sweep, SweepState, Trial, TrialState
from server.sweeps.table import SweepTable
from server.sweeps.tuner import OneByOne, Tuner
from server.training import Trainings
from server.versions import Versions

log = logging.getLogger(__name__)

# How soon it is tried again to go on with a sweep, or to save how it ended, when that failed.
RETRY_S = 2.0
GOING_DOWN = "the server is going down; the sweep ends when it is back"


class Sweeps:
    """Sweeps, past and present. May be used from any thread."""

    def __init__(
        self,
        database: Engine,
        trainings: Trainings,
        versions: Versions,
        store: ModelStore,
        data: DataPreparation,
        tuner: Tuner | None = None,
    ) -> None:
        """Take up the sweep that an earlier server left: trials that ended stay, the others go on.

        `tuner` decides which trials are worth their time, and how many train at once; None: one by one.
        """
        self._table = SweepTable(database)
        self._trainings = trainings
        self._versions = versions
        self._store = store
        self._data = data
        self._tuner = tuner or OneByOne()
        # Held while a sweep begins, changes or ends.
        self._changed = threading.Condition()
        self._live: Sweep | None = None
        self._course: Course | None = None
        self._worker: threading.Thread | None = None
        # Done when nobody works on the sweep any more.
        self._worked: Future[None] = Future()
        self._is_closing = False
        self._is_unsaved = False
        with self._changed:
            self._take_up_unknown()

    @property
    def at_once(self) -> int:
        """How many trials may train at once now."""
        return self._trainings.at_once

    def start(
        self,
        recipe: str,
        overrides: Mapping[str, object],
        ranges: Sequence[SweepRange],
        *,
        trials: int | None = None,
        ends_early: bool = True,
        deploy_when_done: bool = False,
        request_id: str | None = None,
    ) -> Sweep:
        """Start a sweep of so many trials, None for ten. The same `request_id` gives the same sweep.

        There are fewer trials when the ranges do not hold as many different ones. Raises InvalidArgument,
        DataPreparing, DatasetUnavailable, SweepRunning, ShuttingDown; nothing has been started then.
        """
        with self._changed:
            if known := self._known(request_id):
                return known
        options, planned = plan(recipe, overrides, ranges, trials)
        # Refuses now what could only wait later.
        self._data.data()
        with self._changed:
            if known := self._known(request_id):
                return known
            if self._is_closing:
                raise ShuttingDown("the server is going down; start the sweep when it is back", 5.0)
            self._take_up_unknown()
            if self._live is not None:
                raise SweepRunning(self._live.sweep_id)
            sweep = Sweep(
                sweep_id=secrets.token_hex(8),
                request_id=request_id or None,
                recipe=recipe,
                options=options,
                ranges=tuple(ranges),
                trials=planned,
                ends_early=ends_early,
                deploy_when_done=deploy_when_done,
                created=datetime.now(UTC),
                call_id=REQUEST_ID.get(),
            )
            self._table.insert(sweep)
            self._see_through(sweep)
        extra = {"sweep_id": sweep.sweep_id, "recipe": recipe, "trials": len(planned)}
        log.info("sweep started", extra=extra)
        return sweep

    def get(self, sweep_id: str) -> Sweep:
        """One sweep as it is now. Raises SweepNotFound."""
        with self._changed:
            known = self._table.get(sweep_id)
        if known is None:
            raise SweepNotFound(sweep_id)
        return self._now(known)

    def list(self, offset: int, limit: int) -> tuple[tuple[Sweep, ...], int]:
        """A page of sweeps, newest first, and how many there are in all."""
        page, total = self._table.list(offset, limit)
        return tuple(self._now(sweep) for sweep in page), total

    def stop(self, sweep_id: str) -> Sweep:
        """End a sweep: its trials are cancelled, and no more are begun. Returns when none trains any more.

        Raises SweepNotFound; SweepFinished when it has ended, or does so by itself meanwhile.
        """
        self.begin_to_stop(sweep_id).result()
        return self.stopped(sweep_id)

    def begin_to_stop(self, sweep_id: str) -> Future[None]:
        """The first part of `stop`, which returns at once; when what it gives is done, `stopped` is next.

        A trial that is complete may take minutes to be put in place, and who waits for it needs no thread.
        Raises SweepNotFound, SweepFinished.
        """
        with self._changed:
            self._take_up_unknown()
            live, course = self._live, self._course
            if live is None or course is None or live.sweep_id != sweep_id:
                raise finished(self.get(sweep_id))
            stopping = replace(live, is_stopping=True)
            # First: where that cannot be kept, on a full disk, nothing is changed.
            self._table.update(stopping)
            self._live = stopping
            worked = self._worked
        course.finish()
        return worked

    def stopped(self, sweep_id: str) -> Sweep:
        """The sweep as it was stopped, once `begin_to_stop` is done.

        Raises SweepFinished when it ended by itself meanwhile; ShuttingDown.
        """
        ended = self.get(sweep_id)
        if self._is_closing and not ended.state.is_final:
            raise ShuttingDown(GOING_DOWN, 5.0)
        if ended.state is not SweepState.STOPPED:
            raise finished(ended)
        return ended

    def close(self) -> None:
        """Follow the sweep no longer; its trials go on with the next server. For before `Trainings.close`."""
        with self._changed:
            self._is_closing = True
            course, worker = self._course, self._worker
            self._changed.notify_all()
        if course is not None and worker is not None:
            course.let_go()
            worker.join()

    def _known(self, request_id: str | None) -> Sweep | None:
        """The sweep that a request has started already. For who holds the lock."""
        known = self._table.by_request(request_id) if request_id else None
        if known is not None and not known.state.is_final:
            self._take_up_unknown()
        return None if known is None else self._now(known)

    def _take_up_unknown(self) -> None:
        """See the sweep through that should run and that nobody knows: it was stored by a commit whose answer
        was lost. For who holds the lock.
        """
        if self._live is None and not self._is_closing and (left := self._table.running()):
            self._see_through(left)
            log.info("sweep taken up", extra={"sweep_id": left.sweep_id})

    def _see_through(self, sweep: Sweep) -> None:
        """Go on with a sweep on a thread of its own. For who holds the lock."""
        self._live = sweep
        self._course = Course(sweep, self._trainings, self._note)
        self._worked = Future()
        # Nobody who waits for it can cancel it for the others.
        self._worked.set_running_or_notify_cancel()
        work = (sweep.call_id, self._course, self._worked)
        self._worker = threading.Thread(target=self._work, args=work, name="sweep", daemon=True)
        self._worker.start()

    def _work(self, call_id: str, course: Course, worked: Future[None]) -> None:
        """Have a sweep tuned, and note how it ended."""
        with on_behalf_of(call_id):
            while not self._is_through(course):
                self._wait_for_close(RETRY_S)
            course.close()
            with self._changed:
                # The next sweep may have begun since this one was saved.
                if self._course is course:
                    self._live = self._course = None
            worked.set_result(None)

    def _wait_for_close(self, seconds: float) -> bool:
        """Whether the server goes down, or does so within some seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_closing, seconds)

    def _is_through(self, course: Course) -> bool:
        """Go on with a sweep; False for a fault on the way that may pass, as that of a database may."""
        try:
            self._tune(course)
            if not self._is_closing or course.has_ended:
                self._finish(course)
        except ShuttingDown:
            return self._is_closing
        except Exception:
            log.exception("the sweep was held up")
            return self._is_closing
        return True

    def _tune(self, course: Course) -> None:
        try:
            self._tuner.tune(course)
        except Exception:
            log.exception("the tuner failed", extra={"tuner": type(self._tuner).__name__})
        if not course.has_ended and not course.is_over:
            # What remains when a cluster's tuner fails needs nothing of a cluster to go on.
            OneByOne().tune(course)

    def _finish(self, course: Course) -> None:
        """Note how the sweep of a course ended. Raises ShuttingDown when that is left to the next server."""
        course.cancel()
        if not course.has_ended:
            raise ShuttingDown(GOING_DOWN, 5.0)
        with self._changed:
            assert self._live is not None
            sweep = self._live
        if sweep.is_stopping:
            sweep = replace(sweep, state=SweepState.STOPPED, gate=self._gate(sweep, deploy=False))
        elif sweep.best_trial is None:
            sweep = replace(sweep, state=SweepState.FAILED, failure_reason=why(sweep))
        else:
            gate = self._gate(sweep, deploy=sweep.deploy_when_done)
            sweep = replace(sweep, state=SweepState.SUCCEEDED, gate=gate)
        sweep = replace(sweep, ended=datetime.now(UTC))
        with self._changed:
            while not self._save(sweep):
                if self._changed.wait_for(lambda: self._is_closing, RETRY_S):
                    return
            # In the same breath: what has ended cannot be told to stop.
            self._live = None
        log.info("sweep ended", extra={"sweep_id": sweep.sweep_id, "state": sweep.state.value})

    def _gate(self, sweep: Sweep, deploy: bool) -> GateReport | None:
        """How the best trial's version did at the gate; it is deployed if that is wanted and it passed."""
        best = sweep.best_trial
        if best is None or best.model_version is None:
            return None
        if not deploy:
            return self._trainings.get(best.training_id).gate
        version = best.model_version
        try:
            return outlast(
                lambda: self._versions.take_up(version, True, asked_by="sweep"), self._wait_for_close
            )
        except Exception as error:
            if is_away(error):
                raise ShuttingDown(GOING_DOWN, 5.0) from None
            # The trials have their versions in any case.
            log.exception("version not taken up", extra={"model_version": version})
            reason = f"Version {version} could not be deployed: {explain(error)}"
            return GateReport(passed=False, serving_version=None, comparisons=(), reasons=(reason,))

    def _note(self, trial: Trial) -> None:
        """Take over a trial as it is now, and store it."""
        with self._changed:
            assert self._live is not None
            self._live = self._live.with_trial(trial)
            self._save(self._live)

    def _save(self, sweep: Sweep) -> bool:
        try:
            self._table.update(sweep)
        except (SQLAlchemyError, OSError) as error:
            # A full disk, say. The sweep goes on and is told from memory; the runs hold what trials came to.
            if not self._is_unsaved:
                log.error("sweep not saved", extra={"sweep_id": sweep.sweep_id, "reason": str(error)})
            self._is_unsaved = True
            return False
        self._is_unsaved = False
        return True

    def _now(self, known: Sweep) -> Sweep:
        """A sweep with what is not in its row: how long its trials have trained, which versions are left."""
        with self._changed:
            if self._live is not None and self._live.sweep_id == known.sweep_id and not known.state.is_final:
                known = self._live
        for trial in known.trials:
            if trial.state is TrialState.RUNNING:
                try:
                    known = known.with_trial(trial.as_of(self._trainings.get(trial.training_id)))
                except TrainingNotFound:
                    continue
        there = set(self._store.numbers())
        trials = tuple(
            replace(trial, model_version=trial.model_version if trial.model_version in there else None)
            for trial in known.trials
        )
        return replace(known, trials=trials)
