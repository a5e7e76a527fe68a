"""What an earlier server left: runs that it was in the middle of, and runs that waited."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from server.gate import GateReport
from server.models import ModelStore
from server.training.run import TrainingRun, TrainingState
from server.training.supervision import MAX_RESUMES
from server.training.table import TrainingTable

log = logging.getLogger(__name__)

INTERRUPTED = (
    f"the server stopped while it ran, after it had gone on by itself {MAX_RESUMES} times; start it again"
)


def take_up(
    table: TrainingTable, store: ModelStore, on_version: Callable[[int, bool], GateReport]
) -> tuple[TrainingRun, ...]:
    """The runs to go on with, in their order: a run that still says it trains was cut off with its server.

    One whose version is in the store has succeeded, also when its server went down in order and left it as
    one that waits; one that was cut off too often has failed.
    """
    interrupted: list[TrainingRun] = []
    waiting: list[TrainingRun] = []
    made = {version.training_id: version.version for version in store.list()}
    for run in (*table.in_state(TrainingState.RUNNING), *table.in_state(TrainingState.QUEUED)):
        if version := made.get(run.training_id):
            gate = _take_over(run, version, on_version)
            table.update(run.ended_as(TrainingState.SUCCEEDED, model_version=version, gate=gate))
        elif run.state is TrainingState.QUEUED:
            waiting.append(run)
        elif run.resumes >= MAX_RESUMES:
            table.update(run.ended_as(TrainingState.FAILED, failure_reason=INTERRUPTED))
        else:
            # In front of those that wait: it was before them.
            run = replace(run, state=TrainingState.QUEUED, resumes=run.resumes + 1)
            table.update(run)
            interrupted.append(run)
    return (*interrupted, *waiting)


def _take_over(
    run: TrainingRun, version: int, on_version: Callable[[int, bool], GateReport]
) -> GateReport | None:
    """A version was put in place, and its run cut off before that was noted."""
    try:
        return on_version(version, run.deploy_when_done)
    except Exception:
        log.exception("version not taken up", extra={"model_version": version})
        return None
