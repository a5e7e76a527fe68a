"""Sweeps in the database."""

from __future__ import annotations

from sqlalchemy import Engine, func, insert, select, update

from server.database import begin_durably, settle, sweeps
from server.sweeps.sweep import Sweep, SweepState


class SweepTable:
    """The rows of `sweeps`. May be used from any thread."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def insert(self, sweep: Sweep) -> None:
        """Add a new sweep; it outlasts a power cut when this returns."""

        def add() -> None:
            with begin_durably(self._database) as connection:
                connection.execute(insert(sweeps).values(sweep.to_row()))

        settle(add, is_made=lambda: self.get(sweep.sweep_id) is not None)

    def update(self, sweep: Sweep) -> None:
        """Store a sweep as it is now; how it ended, or that it shall, outlasts a power cut when this returns.

        What its trials came to before that can be read from their runs again.
        """
        begin = begin_durably if sweep.state.is_final or sweep.is_stopping else Engine.begin
        with begin(self._database) as connection:
            change = update(sweeps).where(sweeps.c.id == sweep.sweep_id)
            connection.execute(change.values(sweep.to_row()))

    def get(self, sweep_id: str) -> Sweep | None:
        """One sweep, or None."""
        return self._first(sweeps.c.id == sweep_id)

    def by_request(self, request_id: str) -> Sweep | None:
        """The sweep that a request started, or None."""
        return self._first(sweeps.c.request_id == request_id)

    def running(self) -> Sweep | None:
        """The sweep that has not ended; None without any."""
        return self._first(sweeps.c.state == SweepState.RUNNING.value)

    def list(self, offset: int, limit: int) -> tuple[tuple[Sweep, ...], int]:
        """A page of sweeps, newest first, and how many there are in all."""
        # Two sweeps of one microsecond have an order too, the same on every page.
        newest_first = select(sweeps).order_by(sweeps.c.created.desc(), sweeps.c.id)
        with self._database.connect() as connection:
            rows = connection.execute(newest_first.offset(offset).limit(limit)).mappings().all()
            total = connection.execute(select(func.count()).select_from(sweeps)).scalar_one()
        return tuple(Sweep.from_row(dict(row)) for row in rows), total

    def _first(self, condition: object) -> Sweep | None:
        with self._database.connect() as connection:
            row = connection.execute(select(sweeps).where(condition)).mappings().first()  # type: ignore[arg-type]
        return Sweep.from_row(dict(row)) if row else None
