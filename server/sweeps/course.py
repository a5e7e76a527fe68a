"""A sweep on its way, as a tuner drives it: trials begin, tell what each epoch came to, and are ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from server.errors import (
    DataPreparing,
    DatasetUnavailable,
    ShuttingDown,
    TrainingFinished,
    TrainingQueueFull,
)
from server.failures import explain, refusal_of
from server.sweeps.sweep import Sweep, Trial, TrialState
from server.training import TrainingRun, Trainings

log = logging.getLogger(__name__)

# Why a trial may have to wait before it begins: other people's runs fill the queue, or digits are prepared.
PASSING = (TrainingQueueFull, DataPreparing, DatasetUnavailable)
# How soon it is tried again.
RETRY_S = 1.0


@dataclass(frozen=True)
class Report:
    """How a trial stands after an epoch."""

    epoch: int
    """From 1."""
    accuracy: float
    """The highest validation accuracy so far, in [0, 1]."""


class Course:
    """The trials of one sweep. May be used from several threads, of which each follows a trial of its own."""

    def __init__(self, sweep: Sweep, trainings: Trainings, note: Callable[[Trial], None]) -> None:
        """`note(trial)` is called at every change of a trial, to store it. `close()` ends that."""
        self._sweep_id = sweep.sweep_id
        self._recipe = sweep.recipe
        self._trials = {trial.number: trial for trial in sweep.trials}
        self._trainings = trainings
        self._note = note
        self.epochs = sweep.options.epochs
        """Of a trial that is not ended early."""
        self.ends_early = sweep.ends_early
        """Whether trials that fall behind are ended."""
        self.numbers = tuple(self._trials)
        """Those of all trials, ended ones too, in the order in which they are begun."""
        # Held while a trial changes: who ends it is on another thread than who follows it.
        self._changing = threading.RLock()
        self._changed = threading.Condition()
        self._changes = 0
        self._is_over = sweep.is_stopping
        self._is_let_go = False
        self._unsubscribe = trainings.subscribe(self._notice)

    @property
    def at_once(self) -> int:
        """How many trials may train at once now."""
        return self._trainings.at_once

    @property
    def is_over(self) -> bool:
        """Whether no trial shall be begun or followed any more: the sweep stops, or the server goes down."""
        return self._is_over

    @property
    def has_ended(self) -> bool:
        """Whether every trial has ended."""
        return all(trial.state.is_final for trial in self._trials.values())

    def follow(self, number: int) -> Iterator[Report]:
        """Have a trial train, and give how it stands after each epoch, from the first one on.

        Ends with the trial, or when the course is over. A trial that has ended tells its epochs again.
        """
        trial = self._trials[number]
        if trial.is_behind and not trial.state.is_final:
            self.end(number)  # The server was killed between the decision and the deed.
        run = self._run(trial)
        best, told = 0.0, 0
        while run is not None:
            for metrics in run.history[told:]:
                told += 1
                best = max(best, metrics.validation_accuracy or 0.0)
                yield Report(metrics.epoch, best)
            if run.state.is_final or self._is_over:
                return
            run = self._next(run)

    def end(self, number: int) -> None:
        """End a trial that has fallen behind. Returns when it has ended, or the course was let go.

        One that is complete by now, its version being put in place, ends as if it had not been behind.
        """
        trial = self._trials[number]
        if trial.state.is_final or not trial.training_id:
            return
        with self._changing:
            trial = self._change(replace(self._trials[number], is_behind=True))
        extra = {"sweep_id": self._sweep_id, "trial": number, "training_id": trial.training_id}
        log.info("trial fell behind", extra=extra)
        self._cancel(trial)

    def cancel(self) -> None:
        """End every trial that trains or waits. Returns when none trains any more, or when it is let go."""
        for trial in tuple(self._trials.values()):
            if self._is_let_go:
                return
            if trial.state.is_final:
                continue
            if trial.training_id:
                self._cancel(trial)
            else:
                self._change(replace(trial, state=TrialState.CANCELLED))

    def finish(self) -> None:
        """Have nothing begun or followed any more; who follows a trial is let go."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def let_go(self) -> None:
        """The same, and have nobody wait for the end of a trial either: the server goes down.

        A run whose version waits to be put in place does not end before the next server.
        """
        with self._changed:
            self._is_let_go = True
        self.finish()

    def close(self) -> None:
        """Listen to the trainings no longer."""
        self.finish()
        self._unsubscribe()

    def _run(self, trial: Trial) -> TrainingRun | None:
        """The training run of a trial, begun now if it has none; None when it cannot be."""
        if trial.training_id:
            return self._look(trial.number, trial.training_id)
        while not self._is_over and not trial.state.is_final:
            try:
                # After a crash it finds the run that it had started already.
                run = self._trainings.start(
                    self._recipe,
                    trial.options.to_json(),
                    request_id=f"sweep/{self._sweep_id}/{trial.number}",
                )
            except ShuttingDown:
                return None
            except Exception as error:
                # What the disk or the database refuses passes too.
                if isinstance(error, PASSING) or refusal_of(error) is not None:
                    with self._changed:
                        self._changed.wait_for(lambda: self._is_over, RETRY_S)
                    continue
                log.warning("trial not begun", exc_info=error, extra={"sweep_id": self._sweep_id})
                trial = self._change(replace(trial, state=TrialState.FAILED, failure_reason=explain(error)))
            else:
                self._change(trial.as_of(run))
                return run
        return None

    def _look(self, number: int, training_id: str) -> TrainingRun:
        """A trial's run as it is now, which the trial is brought up to."""
        run = self._trainings.get(training_id)
        with self._changing:
            trial = self._trials[number]
            now = trial.as_of(run)
            # What only time has changed is nothing to store, and what has ended does not change.
            if replace(now, duration_s=trial.duration_s) != trial and not trial.state.is_final:
                self._change(now)
        return run

    def _next(self, run: TrainingRun) -> TrainingRun:
        """The run once it has changed, or when the course is over."""
        number = next(one.number for one in self._trials.values() if one.training_id == run.training_id)
        while True:
            seen = self._changes
            now = self._look(number, run.training_id)
            if self._is_over or (now.state, now.history) != (run.state, run.history):
                return now
            self._wait_for_change(seen, is_over_enough=True)

    def _cancel(self, trial: Trial) -> None:
        """Cancel the run of a trial, and wait for its end, unless the course is let go."""
        try:
            self._trainings.cancel(trial.training_id)
        except TrainingFinished:
            log.info("trial was complete", extra={"sweep_id": self._sweep_id, "trial": trial.number})
        while True:
            seen = self._changes
            if self._look(trial.number, trial.training_id).state.is_final or self._is_let_go:
                return
            # Also when the course is over: a sweep has ended when none of its trials trains any more.
            self._wait_for_change(seen, is_over_enough=False)

    def _wait_for_change(self, seen: int, is_over_enough: bool) -> None:
        """Return when any run has changed since there were `seen` changes, or when the course is let go.

        Also when it is over, if that `is_over_enough`.
        """

        def is_enough() -> bool:
            return self._changes != seen or self._is_let_go or (is_over_enough and self._is_over)

        with self._changed:
            self._changed.wait_for(is_enough)

    def _change(self, trial: Trial) -> Trial:
        with self._changing:
            self._trials[trial.number] = trial
            self._note(trial)
        return trial

    def _notice(self, training_id: str) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
