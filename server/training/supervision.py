"""One training run from its place at the head of the queue to its end."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from server.database import is_away
from server.datasets import DataPreparation
from server.errors import DatabaseUnreachable, DataPreparing, NoSamples, ShuttingDown
from server.failures import explain, refusal_of
from server.gate import GateReport
from server.models import ModelStore
from server.protocol import EpochMetrics, Phase, Progress, TrainingSpec, write_samples
from server.recipes import RECIPES
from server.samples import SampleSet
from server.training.folders import RunFolders
from server.training.launch import Child, Launch
from server.training.run import TrainingRun, TrainingState
from server.training.watchdog import Patience, Watchdog

log = logging.getLogger(__name__)

# A run that is cut off again and again may be the cause itself, as one is that takes all memory.
MAX_RESUMES = 2

Got = TypeVar("Got")


class _Stopped(Exception):
    """The run was told to end: cancelled, or interrupted by the end of the server."""


class _ChildFailed(Exception):
    """The child ended without a version; the message says why."""


class _CutOff(Exception):
    """The child was ended from outside; the message says how. The run can go on."""


class Supervision:
    """Sees one run through. `run` on one thread; `cancel`, `end_early` and `interrupt` from any."""

    def __init__(
        self,
        run: TrainingRun,
        store: ModelStore,
        data: DataPreparation,
        folders: RunFolders,
        patience: Patience,
        on_version: Callable[[int, bool], GateReport],
        samples: Callable[[], SampleSet],
        launch: Launch,
        update: Callable[[TrainingRun, bool], None],
    ) -> None:
        """`samples()` gives those to train on, to a recipe that uses them; `launch` starts the program.

        `update(run, is_milestone)` is called at every change but the last, which `run` returns.
        """
        self._run = run
        self._store = store
        self._data = data
        self._folders = folders
        self._patience = patience
        self._on_version = on_version
        self._samples = samples
        self._launch = launch
        self._update = update
        self._lock = threading.Lock()
        # Held while the run changes and that is told: `end_early` comes on another thread than the events.
        self._changing = threading.Lock()
        self._child: Child | None = None
        self._staging: Path | None = None
        self._stopped = threading.Event()
        self._is_cancelled = False
        # From here on the version is being put in place: too late to stop.
        self._is_complete = False

    @property
    def training_id(self) -> str:
        """The run's id."""
        return self._run.training_id

    def run(self) -> TrainingRun:
        """Train, put the version in place, and return the run as it ended. A fault is a failed run.

        A run that `interrupt` cut off comes back as it is, still running: the next server goes on with it.
        """
        started = self._run.started or datetime.now(UTC)
        self._change(
            is_milestone=True, state=TrainingState.RUNNING, started=started, progress=self._starting()
        )
        try:
            data = self._once_prepared(self._data.data)
            self._change(is_milestone=True, data_source=data.source)
            if RECIPES[self._run.recipe].uses_samples:
                self._change(is_milestone=True, samples=self._once_prepared(self._hand_over_samples))
            return self._put_in_place(self._train_to_the_end())
        except _Stopped:
            return self._ended(TrainingState.CANCELLED) if self._is_cancelled else self._run
        except _ChildFailed as failure:
            log.warning("training failed", extra={"training_id": self.training_id, "reason": str(failure)})
            return self._ended(TrainingState.FAILED, failure_reason=str(failure))
        except Exception as error:
            reason = explain(error)
            # What the disk did needs no traceback.
            cause = None if refusal_of(error) else error
            log.error(
                "training failed", exc_info=cause, extra={"training_id": self.training_id, "reason": reason}
            )
            return self._ended(TrainingState.FAILED, failure_reason=reason)
        finally:
            if self._staging is not None:
                shutil.rmtree(self._staging, ignore_errors=True)  # Gone already when it became a version.

    def cancel(self) -> bool:
        """End the run as cancelled. False when it is too late: its version is being put in place."""
        return self._stop(is_cancelled=True)

    def end_early(self) -> bool:
        """Have the run end with its best epoch so far. Returns at once; False when that is too late."""
        with self._lock:
            if self._is_complete or self._stopped.is_set():
                return False
            child = self._child
            # A child that has yet to be started is told at its start.
            self._change(is_milestone=True, stopped_early=True)
        if child is not None:
            child.end_early()
        return True

    def interrupt(self) -> None:
        """End the child, because the server goes down; what is complete is put in place first."""
        self._stop(is_cancelled=False)

    def _stop(self, is_cancelled: bool) -> bool:
        with self._lock:
            if self._is_complete:
                return False
            self._is_cancelled = is_cancelled
            self._stopped.set()
            child = self._child
        if child is not None:
            child.stop()
        return True

    def _once_prepared(self, get: Callable[[], Got]) -> Got:
        """What `get` gives; the digits that it needs may still be in preparation when a server takes up the
        runs of an earlier one, and its database away for a moment.
        """
        while not self._stopped.is_set():
            try:
                return get()
            except Exception as error:
                if not isinstance(refusal_of(error) or error, DataPreparing | DatabaseUnreachable):
                    raise
                self._stopped.wait(0.2)
        raise _Stopped

    def _hand_over_samples(self) -> int:
        """Leave the child the samples that there are as the run begins; returns how many.

        A run that goes on has them already: it ends with the same result, whatever was added or deleted
        since. Raises NoSamples, DataPreparing, OSError.
        """
        path = self._folders.samples(self.training_id)
        if path.exists():
            return self._run.samples
        samples = self._samples()
        if not len(samples):
            raise NoSamples
        # First the number: whoever finds the file finds it too.
        self._change(is_milestone=True, samples=len(samples))
        write_samples(path, samples.ids, samples.pixels, samples.labels)
        return len(samples)

    def _train_to_the_end(self) -> Path:
        """Run children until one has made a whole version; returns its folder.

        Raises _Stopped, _ChildFailed, OSError.
        """
        while True:
            try:
                return self._train()
            except _CutOff as cut:
                if self._run.resumes >= MAX_RESUMES:
                    raise _ChildFailed(f"{cut}; it had gone on by itself {MAX_RESUMES} times") from None
                log.warning("training cut off", extra={"training_id": self.training_id, "reason": str(cut)})
                self._change(is_milestone=True, resumes=self._run.resumes + 1, progress=self._starting())

    def _train(self) -> Path:
        """Run one child. Raises what `_train_to_the_end` does, and _CutOff."""
        with self._lock:
            if self._stopped.is_set():
                raise _Stopped
            self._staging = staging = self._store.staging(self.training_id)
            self._child = child = self._launch(
                self._spec(staging),
                self._folders.log_file(self.training_id),
                self._folders.scratch(self.training_id),
            )
        log.info("training started", extra={"training_id": self.training_id, **child.place})
        hung: list[str] = []

        def end_hanging(limit_s: float) -> None:
            hung.append(
                f"the training made no progress for {limit_s:g} s and was ended: the machine is overloaded, "
                "or a library hangs; start again, and when that does not help look into the run's log"
            )
            child.stop()

        watchdog = Watchdog(self._patience, end_hanging)
        try:
            reason, is_done = self._follow(child, watchdog)
            ending = child.wait()
        finally:
            watchdog.close()
        if self._stopped.is_set():
            raise _Stopped
        # Of a node that is gone nothing is heard either, and it may be the watchdog that notices first.
        if hung and not child.was_lost:
            raise _ChildFailed(hung[0])
        if ending and not reason and child.was_cut_off:
            raise _CutOff(ending)
        if reason or ending or not is_done:
            raise _ChildFailed(reason or ending or "the training program ended without a result; start again")
        return staging

    def _spec(self, staging: Path) -> TrainingSpec:
        base = self._run.base_version
        return TrainingSpec(
            training_id=self.training_id,
            recipe=self._run.recipe,
            options=self._run.options,
            datasets=self._data.root,
            staging=staging,
            checkpoints=self._folders.checkpoints(self.training_id),
            tensorboard=self._folders.tensorboard(self.training_id),
            stop_early=self._run.stopped_early,
            elapsed_s=self._run.progress.elapsed_s if self._run.progress else 0.0,
            base=None if base is None else self._store.folder(base),
            base_version=base,
            samples=None if base is None else self._folders.samples(self.training_id),
            call_id=self._run.call_id,
        )

    def _follow(self, child: Child, watchdog: Watchdog) -> tuple[str, bool]:
        """Note what the child tells until it ends: why it failed, if it did, and whether it was done."""
        reason, is_done = "", False
        for event in child.events():
            event.pop("call_id", None)  # For whoever reads the events as they are; here it is known.
            match event.pop("event"):
                case "waiting":
                    watchdog.put_off()
                case "failed":
                    reason = event["reason"]
                case "done":
                    is_done = True
                case "environment":
                    self._change(is_milestone=True, **event)
                case "history":
                    history = tuple(EpochMetrics(**metrics) for metrics in event["history"])
                    self._change(is_milestone=True, history=history)
                case "epoch":
                    self._change(is_milestone=True, history=(*self._run.history, EpochMetrics(**event)))
                case "progress":
                    progress = Progress.from_json(event)
                    watchdog.note(progress)
                    self._change(is_milestone=False, progress=progress)
        return reason, is_done

    def _put_in_place(self, staging: Path) -> TrainingRun:
        with self._lock:
            if self._stopped.is_set():
                raise _Stopped
            self._is_complete = True
        try:
            version = self._store.commit(staging).version
        except ShuttingDown:
            # It waited for where versions are shared. The next server goes on from the checkpoint.
            raise _Stopped from None
        try:
            gate = self._on_version(version, self._run.deploy_when_done)
        except Exception as error:
            if is_away(error):
                # Until the server went down. The version is there: the next server takes it up.
                raise _Stopped from None
            log.exception(
                "version not taken up", extra={"training_id": self.training_id, "model_version": version}
            )
            raise _ChildFailed(
                f"version {version} was made, but could not be put to use: {explain(error)}"
            ) from error
        # Asked for in the last epoch, it changed nothing.
        stopped_early = self._run.stopped_early and len(self._run.history) < self._run.options.epochs
        return self._ended(
            TrainingState.SUCCEEDED, model_version=version, stopped_early=stopped_early, gate=gate
        )

    def _starting(self) -> Progress:
        """The progress of an attempt that begins; what earlier ones took counts on."""
        before = self._run.progress
        return Progress(
            phase=Phase.STARTING,
            epochs=self._run.options.epochs,
            elapsed_s=before.elapsed_s if before else 0.0,
        )

    def _ended(self, state: TrainingState, **changes: Any) -> TrainingRun:
        progress = self._run.progress
        if progress is not None:
            progress = replace(progress, remaining_s=0.0)
        return self._run.ended_as(state, progress=progress, **changes)

    def _change(self, is_milestone: bool, **changes: Any) -> None:
        with self._changing:
            self._run = replace(self._run, **changes)
            self._update(self._run, is_milestone)
