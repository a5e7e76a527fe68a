"""One training run from its place at the head of the queue to its end."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.datasets import Data, DataPreparation
from server.errors import DataPreparing
from server.failures import explain
from server.models import ModelStore
from server.protocol import EpochMetrics, Phase, Progress, TrainingSpec
from server.training.child import TrainingChild
from server.training.run import TrainingRun, TrainingState

log = logging.getLogger(__name__)

INTERRUPTED = "the server stopped while it ran; start it again"


class _Stopped(Exception):
    """The run was told to end: cancelled, or interrupted by the end of the server."""


class _ChildFailed(Exception):
    """The child ended without a version; the message says why."""


class Supervision:
    """Sees one run through. `run` on one thread; `cancel` and `interrupt` from any."""

    def __init__(
        self,
        run: TrainingRun,
        store: ModelStore,
        data: DataPreparation,
        logs: Path,
        on_version: Callable[[int, bool], None],
        update: Callable[[TrainingRun, bool], None],
    ) -> None:
        """`update(run, is_milestone)` is called at every change but the last, which `run` returns."""
        self._run = run
        self._store = store
        self._data = data
        self._log_file = logs / f"{run.training_id}.log"
        self._on_version = on_version
        self._update = update
        self._lock = threading.Lock()
        self._child: TrainingChild | None = None
        self._stopped = threading.Event()
        self._is_cancelled = False
        # From here on the version is being put in place: too late to stop.
        self._is_complete = False

    @property
    def training_id(self) -> str:
        """The run's id."""
        return self._run.training_id

    def run(self) -> TrainingRun:
        """Train, put the version in place, and return the run as it ended. A fault is a failed run."""
        now = datetime.now(UTC)
        starting = Progress(phase=Phase.STARTING, epochs=self._run.options.epochs)
        self._change(is_milestone=True, state=TrainingState.RUNNING, started=now, progress=starting)
        staging: Path | None = None
        try:
            data = self._wait_for_data()
            self._change(is_milestone=True, data_source=data.source)
            staging = self._store.staging(self.training_id)
            self._train(staging)
            return self._put_in_place(staging)
        except _Stopped:
            if self._is_cancelled:
                return self._ended(TrainingState.CANCELLED)
            return self._ended(TrainingState.FAILED, failure_reason=INTERRUPTED)
        except _ChildFailed as failure:
            log.warning("training failed", extra={"training_id": self.training_id, "reason": str(failure)})
            return self._ended(TrainingState.FAILED, failure_reason=str(failure))
        except Exception as error:
            log.exception("training failed", extra={"training_id": self.training_id})
            return self._ended(TrainingState.FAILED, failure_reason=explain(error))
        finally:
            if staging is not None:
                shutil.rmtree(staging, ignore_errors=True)  # Gone already when it has become a version.

    def cancel(self) -> bool:
        """End the run as cancelled. False when it is too late: its version is being put in place."""
        return self._stop(is_cancelled=True)

    def interrupt(self) -> None:
        """End the run as failed, because the server goes down; what is complete is put in place first."""
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

    def _wait_for_data(self) -> Data:
        """The digits; they may still be in preparation when a server takes up the runs of an earlier one."""
        while not self._stopped.is_set():
            try:
                return self._data.data()
            except DataPreparing:
                self._stopped.wait(0.2)
        raise _Stopped

    def _train(self, staging: Path) -> None:
        """Run the child until `staging` holds a whole version. Raises _Stopped, _ChildFailed, OSError."""
        spec = TrainingSpec(
            training_id=self.training_id,
            recipe=self._run.recipe,
            options=self._run.options,
            datasets=self._data.root,
            staging=staging,
        )
        with self._lock:
            if self._stopped.is_set():
                raise _Stopped
            self._child = child = TrainingChild(spec, self._log_file)
        log.info("training started", extra={"training_id": self.training_id, "pid": child.pid})
        reason, is_done = "", False
        for event in child.events():
            kind = event.pop("event")
            if kind == "failed":
                reason = event["reason"]
            elif kind == "done":
                is_done = True
            else:
                self._note(kind, event)
        ending = child.wait()
        if self._stopped.is_set():
            raise _Stopped
        if reason or ending or not is_done:
            raise _ChildFailed(reason or ending or "the training program ended without a result; start again")

    def _note(self, kind: str, values: dict[str, Any]) -> None:
        if kind == "epoch":
            self._change(is_milestone=True, history=(*self._run.history, EpochMetrics(**values)))
        else:
            self._change(is_milestone=False, progress=Progress.from_json(values))

    def _put_in_place(self, staging: Path) -> TrainingRun:
        with self._lock:
            if self._stopped.is_set():
                raise _Stopped
            self._is_complete = True
        version = self._store.commit(staging).version
        try:
            self._on_version(version, self._run.deploy_when_done)
        except Exception as error:
            log.exception(
                "version not taken up", extra={"training_id": self.training_id, "model_version": version}
            )
            raise _ChildFailed(
                f"version {version} was made, but could not be put to use: {explain(error)}"
            ) from error
        return self._ended(TrainingState.SUCCEEDED, model_version=version)

    def _ended(self, state: TrainingState, **changes: Any) -> TrainingRun:
        progress = self._run.progress
        if progress is not None:
            progress = replace(progress, remaining_s=0.0)
        return replace(self._run, state=state, ended=datetime.now(UTC), progress=progress, **changes)

    def _change(self, is_milestone: bool, **changes: Any) -> None:
        self._run = replace(self._run, **changes)
        self._update(self._run, is_milestone)
