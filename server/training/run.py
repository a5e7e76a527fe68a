"""A training run as everybody sees it, and as a row of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from server.datasets import DataSource
from server.gate import GateReport
from server.protocol import EpochMetrics, Progress
from server.recipes import TrainingOptions


class TrainingState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended: it never changes again."""
        return self not in (TrainingState.QUEUED, TrainingState.RUNNING)


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A training run at one moment."""

    training_id: str
    request_id: str | None = None
    """Makes a repeated start safe: the same request finds its own run."""
    recipe: str
    options: TrainingOptions
    state: TrainingState = TrainingState.QUEUED
    deploy_when_done: bool = False
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    progress: Progress | None = None
    """How far it is, or was when it ended; None before it began."""
    history: tuple[EpochMetrics, ...] = ()
    """Every finished epoch, in order."""
    model_version: int | None = None
    """The resulting version; None unless it succeeded."""
    failure_reason: str = ""
    """Why it failed and what to do, a sentence; empty unless it failed."""
    data_source: DataSource | None = None
    """What it trains on; None before it began."""
    stopped_early: bool = False
    """Whether it was asked to end before its last epoch and to keep the best one."""
    resumes: int = 0
    """How often it went on after something had cut it off."""
    device: str = ""
    """What it trained on: "CPU", or the name of a GPU; empty before that is known."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """Name -> version of what it trained with; empty before that is known."""
    call_id: str = ""
    """The `x-request-id` of the call that asked for it: what the run writes into logs carries it."""
    base_version: int | None = None
    """The version that it goes on from; None for a run that begins anew."""
    samples: int = 0
    """How many of people's own samples it trains on; 0 before it began."""
    gate: GateReport | None = None
    """How its version did at the gate; None before that was measured."""
    queue_position: int = 0
    """Place among those that wait, from 1; 0 when it does not wait. Not stored."""

    def ended_as(self, state: TrainingState, **changes: Any) -> TrainingRun:
        """The run, ended in `state` at this moment."""
        return replace(self, state=state, ended=datetime.now(UTC), **changes)

    def to_row(self) -> dict[str, Any]:
        """The run as values of the table `trainings`."""
        return {
            "id": self.training_id,
            "request_id": self.request_id,
            "recipe": self.recipe,
            "options": self.options.to_json(),
            "state": self.state.value,
            "deploy_when_done": self.deploy_when_done,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "progress": self.progress.to_json() if self.progress else None,
            "history": [epoch.to_json() for epoch in self.history],
            "model_version": self.model_version,
            "failure_reason": self.failure_reason,
            "data_source": self.data_source.to_json() if self.data_source else None,
            "stopped_early": self.stopped_early,
            "resumes": self.resumes,
            "device": self.device,
            "libraries": dict(self.libraries),
            "call_id": self.call_id,
            "base_version": self.base_version,
            "samples": self.samples,
            "gate": self.gate.to_json() if self.gate else None,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> TrainingRun:
        """The run that `to_row` gave."""
        values = {**row}
        return cls(
            training_id=values.pop("id"),
            options=TrainingOptions.from_json(values.pop("options")),
            state=TrainingState(values.pop("state")),
            progress=Progress.from_json(progress) if (progress := values.pop("progress")) else None,
            history=tuple(EpochMetrics(**epoch) for epoch in values.pop("history")),
            data_source=DataSource.from_json(source) if (source := values.pop("data_source")) else None,
            libraries=values.pop("libraries") or {},
            gate=GateReport.from_json(gate) if (gate := values.pop("gate")) else None,
            **values,
        )
