"""A sweep and its trials as everybody sees them, and as a row of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from server.gate import GateReport
from server.recipes import TrainingOptions
from server.sweeps.ranges import SweepRange
from server.training import TrainingRun, TrainingState


class SweepState(StrEnum):
    """Where a sweep stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether the sweep has ended: it never changes again."""
        return self is not SweepState.RUNNING


class TrialState(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FELL_BEHIND = "fell_behind"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the trial has ended: it never changes again."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)


BY_RUN: Mapping[TrainingState, TrialState] = {
    TrainingState.QUEUED: TrialState.WAITING,
    TrainingState.RUNNING: TrialState.RUNNING,
    TrainingState.SUCCEEDED: TrialState.SUCCEEDED,
    TrainingState.FAILED: TrialState.FAILED,
    TrainingState.CANCELLED: TrialState.CANCELLED,
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training of a sweep at one moment."""

    number: int
    """From 1, in the order in which they are begun."""
    options: TrainingOptions
    state: TrialState = TrialState.WAITING
    training_id: str = ""
    """Its training run; empty before it has one."""
    epochs: int = 0
    """Finished ones."""
    validation_accuracy: float | None = None
    """The highest after any of them; None before the first."""
    model_version: int | None = None
    """The version that it made; None unless it succeeded."""
    failure_reason: str = ""
    """Why it failed, a sentence; empty unless it did."""
    duration_s: float = 0.0
    """Seconds that it has trained."""
    is_behind: bool = False
    """Whether it was found to have fallen behind, so that its run is cancelled."""

    def as_of(self, run: TrainingRun) -> Trial:
        """The trial as its run stands."""
        state = BY_RUN[run.state]
        if state is TrialState.CANCELLED and self.is_behind:
            state = TrialState.FELL_BEHIND
        measured = [each.validation_accuracy for each in run.history if each.validation_accuracy is not None]
        return replace(
            self,
            state=state,
            training_id=run.training_id,
            epochs=len(run.history),
            validation_accuracy=max(measured, default=None),
            model_version=run.model_version,
            failure_reason=run.failure_reason,
            duration_s=run.progress.elapsed_s if run.progress else 0.0,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values by name; `from_json` reads them back."""
        return {**asdict(self), "options": self.options.to_json(), "state": self.state.value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Trial:
        """The trial that `to_json` gave."""
        options, state = TrainingOptions.from_json(values["options"]), TrialState(values["state"])
        return cls(**{**values, "options": options, "state": state})


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep at one moment."""

    sweep_id: str
    request_id: str | None = None
    """Makes a repeated start safe: the same request finds its own sweep."""
    recipe: str
    options: TrainingOptions
    """What all trials have in common; of an option that is tried, what it is without."""
    ranges: tuple[SweepRange, ...]
    state: SweepState = SweepState.RUNNING
    trials: tuple[Trial, ...]
    """All of them, in order: trial n is at n - 1."""
    ends_early: bool = True
    """Whether trials that fall behind are ended."""
    deploy_when_done: bool = False
    is_stopping: bool = False
    """Whether it was asked to end. Stored, so that it ends as it was told to after a crash too."""
    created: datetime
    ended: datetime | None = None
    failure_reason: str = ""
    """Why it failed and what to do, a sentence; empty unless it failed."""
    gate: GateReport | None = None
    """How the best trial's version did at the gate; None before that was measured."""
    call_id: str = ""
    """The `x-request-id` of the call that asked for it: what it writes into logs carries it."""

    @property
    def best_trial(self) -> Trial | None:
        """The one with the highest validation accuracy among those that succeeded, the first of several."""
        succeeded = [trial for trial in self.trials if trial.state is TrialState.SUCCEEDED]
        return max(succeeded, key=lambda trial: trial.validation_accuracy or 0.0, default=None)

    def with_trial(self, trial: Trial) -> Sweep:
        """The same with one trial as it is now."""
        before = self.trials
        return replace(self, trials=(*before[: trial.number - 1], trial, *before[trial.number :]))

    def to_row(self) -> dict[str, Any]:
        """The sweep as values of the table `sweeps`."""
        return {
            "id": self.sweep_id,
            "request_id": self.request_id,
            "recipe": self.recipe,
            "options": self.options.to_json(),
            "ranges": [tried.to_json() for tried in self.ranges],
            "state": self.state.value,
            "trials": [trial.to_json() for trial in self.trials],
            "ends_early": self.ends_early,
            "deploy_when_done": self.deploy_when_done,
            "is_stopping": self.is_stopping,
            "created": self.created,
            "ended": self.ended,
            "failure_reason": self.failure_reason,
            "gate": self.gate.to_json() if self.gate else None,
            "call_id": self.call_id,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Sweep:
        """The sweep that `to_row` gave."""
        values = {**row}
        return cls(
            sweep_id=values.pop("id"),
            options=TrainingOptions.from_json(values.pop("options")),
            ranges=tuple(SweepRange.from_json(tried) for tried in values.pop("ranges")),
            state=SweepState(values.pop("state")),
            trials=tuple(Trial.from_json(trial) for trial in values.pop("trials")),
            gate=GateReport.from_json(gate) if (gate := values.pop("gate")) else None,
            **values,
        )
