"""Which version answers, how that came about, and which one answered before: the list of deployments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Row, case, func, insert, select

from server.database import begin_durably, deployment_requests, deployments
from server.errors import InvalidArgument


class DeploymentAction(StrEnum):
    """What happened to a version."""

    DEPLOYED = "deployed"
    """It became the one that answers."""
    ROLLED_BACK = "rolled_back"
    """It became the one that answers again: it was the one before."""
    DELETED = "deleted"
    UNDEPLOYED = "undeployed"
    """It stopped answering, and no other took its place."""


@dataclass(frozen=True)
class Deployment:
    """An entry of the list. `cause`: one sentence for a person."""

    number: int
    """From 1, in the order in which it happened."""
    model_version: int
    action: DeploymentAction
    cause: str
    created: datetime
    previous_version: int | None
    """The version that answered before; None when none did, for a deletion and for an undeployment."""


_BEGINS = (DeploymentAction.DEPLOYED, DeploymentAction.ROLLED_BACK)
_is_answering = deployments.c.action.in_(_BEGINS)
_ANSWERING = select(deployments.c.model_version, deployments.c.action).where(_is_answering)
_earlier = deployments.alias("earlier")
# Looked up, not stored: it is true of rows too that were written when nobody asked. After an undeployment
# none answered.
_previous = (
    select(case((_earlier.c.action.in_(_BEGINS), _earlier.c.model_version)))
    .where(_earlier.c.number < deployments.c.number, _earlier.c.action != DeploymentAction.DELETED)
    .order_by(_earlier.c.number.desc())
    .limit(1)
    .scalar_subquery()
)
_ENTRIES = select(*deployments.c, _previous.label("previous_version"))


class Deployments:
    """The record of deployments, whose newest tells which version is to be served after a restart.

    May be used from any thread; who deploys holds a lock of its own, so that there is one at a time.
    """

    def __init__(self, database: Engine) -> None:
        self._database = database

    def current(self) -> int | None:
        """The version deployed last, whether or not it was undeployed since; None when none ever was."""
        with self._database.connect() as connection:
            return _current(connection)

    def answering(self) -> int | None:
        """The version that answers, as far as is recorded; None when none does."""
        with self._database.connect() as connection:
            return None if _is_undeployed(connection) else _current(connection)

    def deploy(
        self, version: int, cause: str, *, is_rollback: bool = False, request_id: str | None = None
    ) -> None:
        """Record that a version answers from now on. To deploy what is deployed already changes nothing."""
        action = DeploymentAction.ROLLED_BACK if is_rollback else DeploymentAction.DEPLOYED
        with begin_durably(self._database) as connection:
            if request_id:
                values = {"request_id": request_id, "model_version": version, "created": datetime.now(UTC)}
                connection.execute(insert(deployment_requests).values(values))
            if _current(connection) != version or _is_undeployed(connection):
                _add(connection, version, action, cause)

    def undeploy(self, cause: str) -> None:
        """Record that the version deployed last answers no more. To do so twice changes nothing."""
        with begin_durably(self._database) as connection:
            version = _current(connection)
            if version is not None and not _is_undeployed(connection):
                _add(connection, version, DeploymentAction.UNDEPLOYED, cause)

    def delete(self, version: int, cause: str) -> None:
        """Record that a version was deleted."""
        with begin_durably(self._database) as connection:
            _add(connection, version, DeploymentAction.DELETED, cause)

    def is_done(self, request_id: str, version: int) -> bool:
        """Whether this request has deployed `version` already. Raises InvalidArgument if it was another."""
        query = select(deployment_requests.c.model_version)
        with self._database.connect() as connection:
            known = connection.execute(query.where(deployment_requests.c.request_id == request_id)).scalar()
        if known not in (None, version):
            raise InvalidArgument(
                "request_id",
                f"expected an id of its own for each deployment, got the one that deployed version {known}",
            )
        return known is not None

    def before(self) -> tuple[int, ...]:
        """The versions that one would go back to, one after the other: the one that answered before first.

        What was rolled back from is not among them: to go back twice goes back further.
        """
        with self._database.connect() as connection:
            stack = _stack(connection)
        return tuple(dict.fromkeys(version for version in stack[-2::-1] if version != stack[-1]))

    def list(self, offset: int, limit: int) -> tuple[tuple[Deployment, ...], int]:
        """A page of entries, newest first, and how many there are in all."""
        newest_first = _ENTRIES.order_by(deployments.c.number.desc()).offset(offset).limit(limit)
        with self._database.connect() as connection:
            entries = tuple(_to_deployment(row) for row in connection.execute(newest_first))
            total = connection.execute(select(func.count()).select_from(deployments)).scalar_one()
        return entries, total

    def deleted(self) -> frozenset[int]:
        """The versions whose deletion is recorded."""
        query = select(deployments.c.model_version).where(deployments.c.action == DeploymentAction.DELETED)
        with self._database.connect() as connection:
            return frozenset(connection.execute(query).scalars())


def _current(connection: Connection) -> int | None:
    newest = connection.execute(_ANSWERING.order_by(deployments.c.number.desc()).limit(1)).first()
    return None if newest is None else newest.model_version


def _is_undeployed(connection: Connection) -> bool:
    """Whether what was deployed last was taken away since."""
    actions = select(deployments.c.action).where(deployments.c.action != DeploymentAction.DELETED)
    newest = connection.execute(actions.order_by(deployments.c.number.desc()).limit(1)).scalar()
    return newest == DeploymentAction.UNDEPLOYED


def _stack(connection: Connection) -> list[int]:
    """The versions that answered, the present one last, without those that were rolled back from.

    A deployment lays one on top, a roll-back takes off what lies above its version: like the back button of a
    browser, so that going back again never leads to what was left.
    """
    stack: list[int] = []
    for row in connection.execute(_ANSWERING.order_by(deployments.c.number)):
        if row.action == DeploymentAction.ROLLED_BACK and row.model_version in stack:
            while stack[-1] != row.model_version:
                stack.pop()
        else:
            stack.append(row.model_version)
    return stack


def _add(connection: Connection, version: int, action: DeploymentAction, cause: str) -> None:
    values = {"model_version": version, "action": action, "cause": cause, "created": datetime.now(UTC)}
    connection.execute(insert(deployments).values(values))


def _to_deployment(row: Row[*tuple[Any, ...]]) -> Deployment:
    action = DeploymentAction(row.action)
    return Deployment(
        number=row.number,
        model_version=row.model_version,
        action=action,
        cause=row.cause,
        created=row.created,
        previous_version=row.previous_version if action in _BEGINS else None,
    )
