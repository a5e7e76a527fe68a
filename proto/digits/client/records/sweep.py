"""Sweeps: what is tried, and how each trial did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digits.client.choices import SweepState, TrialState
from digits.client.records.gate import GateReport
from digits.client.records.training import TrainingOptions


@dataclass(frozen=True)
class SweepRange:
    """What an option may be in the trials: from `min` to `max`, or one of `values`, given as text.

    `logarithmic`: drawn evenly by the logarithm, as many from 0.0001 to 0.001 as from 0.001 to 0.01.
    """

    option: str
    min: float | None = None
    max: float | None = None
    logarithmic: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One training of a sweep, numbered from 1. `validation_accuracy` is its best, None before the first.

    `training_id` is empty before it has a run, `model_version` 0 unless it succeeded and that is still there.
    """

    number: int
    state: TrialState
    training_id: str
    options: TrainingOptions
    epochs: int
    validation_accuracy: float | None
    model_version: int
    failure_reason: str
    duration_s: float


@dataclass(frozen=True)
class Sweep:
    """A sweep with all its trials. `best_trial` is a trial's number, 0 while none has succeeded.

    `options` is what all trials have in common; `ends_early`: those that fall behind are ended. `gate` is how
    the best trial's version did, None before it was measured; `at_once` is how many trials may train at once.
    """

    sweep_id: str
    recipe: str
    options: TrainingOptions
    ranges: tuple[SweepRange, ...]
    state: SweepState
    trials: tuple[Trial, ...]
    best_trial: int
    ends_early: bool
    deploy_when_done: bool
    create_time: datetime
    end_time: datetime | None
    failure_reason: str
    gate: GateReport | None
    at_once: int

    @property
    def best(self) -> Trial | None:
        """The trial with the highest validation accuracy among those that succeeded; None without one."""
        return next((trial for trial in self.trials if trial.number == self.best_trial), None)

    @property
    def ended(self) -> int:
        """How many trials have ended, in whatever way."""
        return sum(trial.state.is_final for trial in self.trials)

    @property
    def trained(self) -> int:
        """How many trials have trained to the end."""
        return sum(trial.state is TrialState.SUCCEEDED for trial in self.trials)

    @property
    def remaining_s(self) -> float | None:
        """Seconds until all trials have ended, estimated from those so far; None without one to go by.

        A trial is taken to last as long as the mean of those that have ended, the ones ended early among
        them; before the first has ended, as long as the running one takes for all its epochs.
        """
        a_trial_s = self._trial_s()
        if a_trial_s is None:
            return None
        left_s = [max(0.0, a_trial_s - trial.duration_s) for trial in self.trials if not trial.state.is_final]
        # Trials that train beside each other share the time; none is over before the longest.
        return max(sum(left_s) / max(1, self.at_once), max(left_s, default=0.0))

    def _trial_s(self) -> float | None:
        told = (TrialState.SUCCEEDED, TrialState.FELL_BEHIND)
        ended_s = [trial.duration_s for trial in self.trials if trial.state in told]
        if ended_s:
            return sum(ended_s) / len(ended_s)
        begun_s = [
            trial.duration_s / trial.epochs * (trial.options.epochs or trial.epochs)
            for trial in self.trials
            if trial.state is TrialState.RUNNING and trial.epochs
        ]
        return sum(begun_s) / len(begun_s) if begun_s else None


@dataclass(frozen=True)
class Sweeps:
    """A page of sweeps, newest first."""

    sweeps: tuple[Sweep, ...]
    next_page_token: str
    total_size: int
