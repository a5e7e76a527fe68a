"""The runs as they are this moment, and as they are stored."""

from __future__ import annotations

import logging
from collections.abc import Collection

from sqlalchemy.exc import SQLAlchemyError

from server.training.run import TrainingRun
from server.training.table import TrainingTable

log = logging.getLogger(__name__)


class Records:
    """Every run: those that wait or train in memory too, for their rows are written less often.

    Whoever changes something holds the lock of the runs.
    """

    def __init__(self, table: TrainingTable) -> None:
        self._table = table
        # The runs that wait or train, and those whose end could not be saved yet.
        self._live: dict[str, TrainingRun] = {}
        # Why, of those that could not be stored as they are now; it was logged once.
        self._unsaved: dict[str, Exception] = {}

    @property
    def live(self) -> Collection[TrainingRun]:
        """The runs that wait or train."""
        return self._live.values()

    def get(self, training_id: str) -> TrainingRun | None:
        """One run as it is now, or None."""
        return self._live.get(training_id) or self._table.get(training_id)

    def is_live(self, training_id: str) -> bool:
        """Whether a run is in memory: it waits or trains, or its end could not be saved yet."""
        return training_id in self._live

    def latest(self, run: TrainingRun) -> TrainingRun:
        """The run of a row, with what is newer than that."""
        return self._live.get(run.training_id, run)

    def add(self, run: TrainingRun) -> None:
        """Store a new run. What the database raises means that nobody knows of it; it may be stored all the
        same.
        """
        self._table.insert(run)
        self._live[run.training_id] = run

    def take_up(self, run: TrainingRun) -> None:
        """Go on with a run that is stored already."""
        self._live[run.training_id] = run

    def note(self, run: TrainingRun, is_milestone: bool) -> None:
        """Note how a run is now. Milestones are stored; what lies between is forgotten at a crash."""
        self._live[run.training_id] = run
        if is_milestone:
            self.save(run)

    def retire(self, run: TrainingRun) -> None:
        """Note how a run ended. It stays in memory until that could be saved."""
        self._live[run.training_id] = run
        if self.save(run):
            del self._live[run.training_id]

    def save_ended(self) -> bool:
        """Save again how runs ended where that failed before; whether any are left."""
        for run in [run for run in self._live.values() if run.state.is_final]:
            if self.save(run):
                del self._live[run.training_id]
        return any(run.state.is_final for run in self._live.values())

    def refuse_unsaved(self, training_id: str) -> None:
        """Raise what the database raised if a run is not stored as it is now.

        For who is to be told that a change was made: until it is stored, a crash undoes it.
        """
        if (error := self._unsaved.get(training_id)) is not None:
            raise error

    def save(self, run: TrainingRun) -> bool:
        """Store a run as it is, if that can be done at this moment."""
        try:
            self._table.update(run)
        except (SQLAlchemyError, OSError) as error:
            # A full disk, say. The run goes on and is told from memory, and how it ended is saved later.
            if run.training_id not in self._unsaved:
                log.error("training not saved", extra={"training_id": run.training_id, "reason": str(error)})
            self._unsaved[run.training_id] = error
            return False
        self._unsaved.pop(run.training_id, None)
        return True
