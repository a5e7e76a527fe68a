"""Training runs in the database."""

from __future__ import annotations

from sqlalchemy import Engine, func, insert, select, update

from server.database import begin_durably, settle, trainings
from server.training.run import TrainingRun, TrainingState


class TrainingTable:
    """The rows of `trainings`. May be used from any thread."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def insert(self, run: TrainingRun) -> None:
        """Add a new run; it outlasts a power cut when this returns."""

        def add() -> None:
            with begin_durably(self._database) as connection:
                connection.execute(insert(trainings).values(run.to_row()))

        settle(add, is_made=lambda: self.get(run.training_id) is not None)

    def update(self, run: TrainingRun) -> None:
        """Store a run as it is now; how it ended outlasts a power cut when this returns.

        What comes before may be lost with the last moments: the run goes on from its checkpoint in any case.
        """
        begin = begin_durably if run.state.is_final else Engine.begin
        with begin(self._database) as connection:
            change = update(trainings).where(trainings.c.id == run.training_id)
            connection.execute(change.values(run.to_row()))

    def get(self, training_id: str) -> TrainingRun | None:
        """One run, or None."""
        return self._first(trainings.c.id == training_id)

    def by_request(self, request_id: str) -> TrainingRun | None:
        """The run that a request started, or None."""
        return self._first(trainings.c.request_id == request_id)

    def list(self, offset: int, limit: int) -> tuple[tuple[TrainingRun, ...], int]:
        """A page of runs, newest first, and how many there are in all."""
        # Two runs of one microsecond have an order too, the same on every page.
        newest_first = select(trainings).order_by(trainings.c.created.desc(), trainings.c.id)
        with self._database.connect() as connection:
            rows = connection.execute(newest_first.offset(offset).limit(limit)).mappings().all()
            total = connection.execute(select(func.count()).select_from(trainings)).scalar_one()
        return tuple(TrainingRun.from_row(dict(row)) for row in rows), total

    def in_state(self, state: TrainingState) -> tuple[TrainingRun, ...]:
        """All runs in one state, oldest first."""
        query = select(trainings).where(trainings.c.state == state.value).order_by(trainings.c.created)
        with self._database.connect() as connection:
            return tuple(TrainingRun.from_row(dict(row)) for row in connection.execute(query).mappings())

    def counts(self) -> dict[TrainingState, int]:
        """How many runs there are in each state that any is in."""
        query = select(trainings.c.state, func.count()).group_by(trainings.c.state)
        with self._database.connect() as connection:
            return {TrainingState(state): count for state, count in connection.execute(query)}

    def _first(self, condition: object) -> TrainingRun | None:
        with self._database.connect() as connection:
            row = connection.execute(select(trainings).where(condition)).mappings().first()  # type: ignore[arg-type]
        return TrainingRun.from_row(dict(row)) if row else None
