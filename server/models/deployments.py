"""Which version answers, and how that came about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, Row, insert, select

from server.database import deployments

NEWEST_FIRST = select(deployments).order_by(deployments.c.number.desc())


@dataclass(frozen=True)
class Deployment:
    """A version became the one that answers. `cause`: one sentence for a person."""

    model_version: int
    cause: str
    created: datetime


class Deployments:
    """The record of deployments; the newest tells which version is to be served after a restart."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def current(self) -> int | None:
        """The version deployed last, or None when none ever was."""
        newest = self._newest(1)
        return newest[0].model_version if newest else None

    def deploy(self, version: int, cause: str) -> Deployment:
        """Record that a version answers from now on. To deploy what is deployed already changes nothing."""
        with self._database.begin() as connection:
            newest = connection.execute(NEWEST_FIRST.limit(1)).first()
            if newest is not None and newest.model_version == version:
                return _to_deployment(newest)
            deployment = Deployment(version, cause, datetime.now(UTC))
            connection.execute(
                insert(deployments).values(model_version=version, cause=cause, created=deployment.created)
            )
            return deployment

    def history(self, limit: int = 100) -> tuple[Deployment, ...]:
        """The last deployments, newest first."""
        return self._newest(limit)

    def _newest(self, limit: int) -> tuple[Deployment, ...]:
        with self._database.connect() as connection:
            return tuple(_to_deployment(row) for row in connection.execute(NEWEST_FIRST.limit(limit)))


def _to_deployment(row: Row[tuple[object, ...]]) -> Deployment:
    return Deployment(row.model_version, row.cause, row.created)
