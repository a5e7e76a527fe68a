"""Evaluations as rows of the database."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine, Row, delete, insert, select, update

from server.calibration import CLASSES
from server.database import evaluations as table
from server.datasets import Dataset
from server.evaluation.marks import WithoutMislabelled
from server.metrics import Metrics
from server.models import ModelVersion

# Everything but the probabilities, which are large and rarely asked for.
COLUMNS = tuple(column for column in table.c if column.name != "probabilities")

STOPPED = "the server stopped while it ran; start it again"


class EvaluationState(StrEnum):
    """Where an evaluation stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Evaluation:
    """A version measured on a data set, or about to be. `metrics` are there once it has succeeded."""

    evaluation_id: str
    model_version: int
    dataset: Dataset
    state: EvaluationState
    failure_reason: str
    created: datetime
    ended: datetime | None
    metrics: Metrics | None
    without_mislabelled: WithoutMislabelled | None = None
    """The accuracy again where people marked images as labelled wrongly. No part of the record."""


class EvaluationRecords:
    """The table of evaluations. May be used from any thread."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add_running(self, version: ModelVersion, dataset: Dataset) -> Evaluation:
        """Record that an evaluation was started."""
        return self._add(version, dataset, datetime.now(UTC), {"state": EvaluationState.RUNNING})

    def add_from_training(self, version: ModelVersion, probabilities: npt.NDArray[np.float32] | None) -> None:
        """Record the evaluation that came with a version; probabilities None when they are lost."""
        outcome = _success(version.metrics, probabilities)
        made_with_it = {"ended": version.created, "from_training": True}
        self._add(version, version.test_dataset, version.created, {**outcome, **made_with_it})

    def has_from_training(self, version: ModelVersion) -> bool:
        """Whether the evaluation that came with a version is recorded."""
        query = select(table.c.id).where(_is_of(version), table.c.from_training)
        with self._database.connect() as connection:
            return connection.execute(query).first() is not None

    def succeed(self, evaluation_id: str, metrics: Metrics, probabilities: npt.NDArray[np.float32]) -> None:
        """Record that an evaluation is done."""
        self._end(evaluation_id, _success(metrics, probabilities))

    def fail(self, evaluation_id: str, reason: str) -> None:
        """Record that an evaluation ended by a fault."""
        self._end(evaluation_id, {"state": EvaluationState.FAILED, "failure_reason": reason})

    def fail_interrupted(self) -> None:
        """Record the end of what a dead server left running."""
        values = {"state": EvaluationState.FAILED, "failure_reason": STOPPED, "ended": datetime.now(UTC)}
        with self._database.begin() as connection:
            connection.execute(update(table).where(table.c.state == EvaluationState.RUNNING).values(values))

    def forget(self, versions: Collection[int]) -> None:
        """Remove the evaluations of versions that are deleted."""
        with self._database.begin() as connection:
            connection.execute(delete(table).where(table.c.model_version.in_(versions)))

    def get(self, evaluation_id: str) -> Evaluation | None:
        """An evaluation by its id."""
        with self._database.connect() as connection:
            row = connection.execute(select(*COLUMNS).where(table.c.id == evaluation_id)).first()
        return None if row is None else _to_evaluation(row)

    def latest(self, version: ModelVersion, dataset: Dataset) -> Evaluation | None:
        """The newest successful evaluation of a version on a data set."""
        query = (
            select(*COLUMNS)
            .where(_is_of(version), table.c.dataset == dataset, table.c.state == EvaluationState.SUCCEEDED)
            .order_by(table.c.number.desc())
            .limit(1)
        )
        with self._database.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _to_evaluation(row)

    def probabilities(self, evaluation_id: str) -> npt.NDArray[np.float32] | None:
        """The answers for the images of the data set, in its order: (N, 10) float32. None without any."""
        query = select(table.c.probabilities).where(table.c.id == evaluation_id)
        with self._database.connect() as connection:
            blob = connection.execute(query).scalar()
        return None if blob is None else np.frombuffer(blob, dtype="<f4").reshape(-1, CLASSES)

    def _add(
        self, version: ModelVersion, dataset: Dataset, created: datetime, outcome: Mapping[str, Any]
    ) -> Evaluation:
        values = {
            "id": uuid.uuid4().hex,
            "model_version": version.version,
            "artifact_sha256": version.artifact.sha256,
            "dataset": dataset,
            "created": created,
            "from_training": False,
            **outcome,
        }
        with self._database.begin() as connection:
            query = insert(table).values(values).returning(*COLUMNS)
            return _to_evaluation(connection.execute(query).one())

    def _end(self, evaluation_id: str, outcome: Mapping[str, Any]) -> None:
        values = {"ended": datetime.now(UTC), **outcome}
        with self._database.begin() as connection:
            connection.execute(update(table).where(table.c.id == evaluation_id).values(values))


def _is_of(version: ModelVersion) -> Any:
    # The checksum too: should a number ever name another model, old rows do not speak for it.
    return (table.c.model_version == version.version) & (table.c.artifact_sha256 == version.artifact.sha256)


def _success(metrics: Metrics, probabilities: npt.NDArray[np.float32] | None) -> dict[str, Any]:
    return {
        "state": EvaluationState.SUCCEEDED,
        "metrics": metrics.to_json(),
        "probabilities": None if probabilities is None else probabilities.astype("<f4").tobytes(),
    }


def _to_evaluation(row: Row[Any]) -> Evaluation:
    return Evaluation(
        evaluation_id=row.id,
        model_version=row.model_version,
        dataset=Dataset(row.dataset),
        state=EvaluationState(row.state),
        failure_reason=row.failure_reason,
        created=row.created,
        ended=row.ended,
        metrics=None if row.metrics is None else Metrics.from_json(row.metrics),
    )
