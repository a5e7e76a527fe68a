"""Measures versions on data sets, one at a time and behind everything else, and keeps every answer."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine as Database

from server.database import outlast
from server.datasets import DATASET_PARTITIONS, DataPreparation, Dataset, Digits
from server.errors import (
    DataPreparing,
    DatasetUnavailable,
    DigitsError,
    EvaluationNotFound,
    ModelCorrupt,
    ModelNotFound,
    ShuttingDown,
    TrainedOnDataset,
)
from server.evaluation.answers import Answers, StoredAnswers
from server.evaluation.digits import TestDigit, list_digits
from server.evaluation.marks import Marks, without_mislabelled
from server.evaluation.misclassified import MisclassifiedDigit, MisclassifiedFilter
from server.evaluation.records import STOPPED, Evaluation, EvaluationRecords
from server.inference import Engine
from server.metrics import measure
from server.models import ModelStore, ModelVersion

log = logging.getLogger(__name__)

# Images measured at a time: after each chunk the server may stop.
CHUNK = 64


class Evaluations:
    """The evaluations of every version. May be used from any thread."""

    def __init__(self, database: Database, store: ModelStore, data: DataPreparation) -> None:
        """Take up the evaluations in `database`; those that a dead server left running have failed."""
        self.marks = Marks(database)
        """What people say of the labels."""
        self._records = EvaluationRecords(database)
        self._answers = StoredAnswers(self._records)
        self._store = store
        self._data = data
        self._lock = threading.Lock()
        self._running: dict[tuple[int, Dataset], str] = {}
        self._is_stopping = threading.Event()
        self._worker = ThreadPoolExecutor(1, "evaluation", initializer=_lower_priority)
        self._records.fail_interrupted()

    def start(self, version: int, dataset: Dataset) -> Evaluation:
        """Start measuring a version, or join the evaluation that is under way; returns at once.

        Raises ModelNotFound; TrainedOnDataset when the version has learnt any of these digits;
        DataPreparing, DatasetUnavailable; ShuttingDown.
        """
        described = self._store.get(version)
        _refuse_trained_on(described, dataset)
        digits = self._data.data().dataset(dataset)
        with self._lock:
            if self._is_stopping.is_set():
                raise ShuttingDown("the server is going down; nothing was started", retry_after_s=1.0)
            under_way = self._records.get(self._running.get((version, dataset), ""))
            if under_way is not None:
                return under_way
            evaluation = self._records.add_running(described, dataset)
            self._refuse_deleted(version)
            self._running[version, dataset] = evaluation.evaluation_id
            self._worker.submit(self._run, evaluation, digits)
        return evaluation

    def get(self, evaluation_id: str) -> Evaluation:
        """One evaluation. Raises EvaluationNotFound."""
        evaluation = self._records.get(evaluation_id)
        if evaluation is None:
            raise EvaluationNotFound(
                f"evaluation_id: no evaluation {evaluation_id!r}", evaluation_id=evaluation_id
            )
        return self._with_marks(evaluation)

    def latest(self, version: int, dataset: Dataset) -> Evaluation:
        """The newest successful evaluation of a version. Raises ModelNotFound, EvaluationNotFound."""
        evaluation = self._records.latest(self._store.get(version), dataset)
        if evaluation is None:
            raise EvaluationNotFound(
                f"version {version} was not measured on {dataset} yet; Evaluate does it",
                model_version=str(version),
                dataset=dataset,
            )
        return self._with_marks(evaluation)

    def forget(self, versions: Collection[int]) -> None:
        """Remove the evaluations of versions that are deleted. To repeat it changes nothing."""
        self._records.forget(versions)

    def adopt(self, version: ModelVersion) -> None:
        """Record the evaluation that a version was made with. To repeat it changes nothing.

        Needs no images; when the stored answers are damaged, the numbers remain and the gallery is lost.
        Raises ModelNotFound when the version was deleted meanwhile: nothing is left of it then.
        """
        with self._lock:
            if self._records.has_from_training(version):
                return
            try:
                probabilities = self._store.probabilities(version.version)
            except ModelCorrupt as error:
                log.warning("answers lost", extra={"model_version": version.version, "reason": error.message})
                self._records.add_from_training(version, None)
            else:
                self._records.add_from_training(version, probabilities)
        self._refuse_deleted(version.version)

    def misclassified(
        self, evaluation_id: str, chosen: MisclassifiedFilter, offset: int, limit: int
    ) -> tuple[list[MisclassifiedDigit], int]:
        """A page of the mistakes that pass a filter, and how many pass it in all.

        Raises EvaluationNotFound, also for one that has not succeeded; DataPreparing; DatasetUnavailable when
        the images, or the answers, are not on this machine.
        """
        evaluation = self.get(evaluation_id)
        answers = self.answers(evaluation)
        marked = self.marks.of(evaluation.dataset, answers.digits)
        numbers = answers.mistakes.select(chosen)
        page = [
            answers.mistakes.digit(int(number), answers.digits, marked)
            for number in numbers[offset : offset + limit]
        ]
        return page, len(numbers)

    def answers(self, evaluation: Evaluation) -> Answers:
        """What the version answered for every image.

        Raises EvaluationNotFound for an evaluation that has not succeeded; DataPreparing; DatasetUnavailable
        when the images, or the answers, are not on this machine.
        """
        return self._answers.of(evaluation, self._data.data().dataset(evaluation.dataset))

    def test_digits(
        self, dataset: Dataset, label: int | None, offset: int, limit: int, seed: int
    ) -> tuple[list[TestDigit], int]:
        """A page of a data set's digits, None meaning any label, and how many there are in all.

        `seed` 0 is the order of the data set, any other a random one.
        Raises DataPreparing, DatasetUnavailable.
        """
        return list_digits(self._data.data().dataset(dataset), label, offset, limit, seed)

    def close(self) -> None:
        """Stop measuring: what is not done fails, and says why. Ends the thread."""
        with self._lock:
            self._is_stopping.set()
        self._worker.shutdown()

    def _refuse_deleted(self, version: int) -> None:
        """After a row was written for a version. Raises ModelNotFound when that was deleted meanwhile.

        Its rows went with it, but for one written after that: its number never comes back, and neither would
        anybody who forgets the row.
        """
        try:
            self._store.get(version)
        except ModelNotFound:
            self._records.forget({version})
            raise

    def _run(self, evaluation: Evaluation, digits: Digits) -> None:
        """Measure, on the worker thread. However it ends, the record says so."""
        version, evaluation_id = evaluation.model_version, evaluation.evaluation_id
        try:
            # An engine of its own: people's predictions do not queue behind ten thousand images.
            engine = Engine(self._store.artifact_path(version))
            probabilities = self._measure_all(engine, digits)
            metrics = measure(probabilities, np.asarray(digits.labels))
            outlast(
                lambda: self._records.succeed(evaluation_id, metrics, probabilities), self._is_stopping.wait
            )
        except DigitsError as error:
            self._fail(evaluation_id, error.message)
        except Exception as error:
            log.exception("evaluation failed", extra={"evaluation_id": evaluation_id})
            self._fail(evaluation_id, f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                del self._running[version, evaluation.dataset]

    def _fail(self, evaluation_id: str, reason: str) -> None:
        outlast(lambda: self._records.fail(evaluation_id, reason), self._is_stopping.wait)

    def _measure_all(self, engine: Engine, digits: Digits) -> npt.NDArray[np.float32]:
        answers = []
        for start in range(0, len(digits.images), CHUNK):
            if self._is_stopping.is_set():
                raise ShuttingDown(STOPPED, retry_after_s=1.0)
            answers.append(engine.probabilities(digits.images[start : start + CHUNK]))
        return np.concatenate(answers)

    def _with_marks(self, evaluation: Evaluation) -> Evaluation:
        """The evaluation with its accuracy without the marked images, where there are any."""
        if evaluation.metrics is None:
            return evaluation
        try:
            digits = self._data.data().dataset(evaluation.dataset)
            marked = self.marks.of(evaluation.dataset, digits)
            if not marked:
                return evaluation
            mistakes = self._answers.of(evaluation, digits).mistakes
        except (DataPreparing, DatasetUnavailable):
            # Marks are for images; without these nobody can tell which of them were misread.
            return evaluation
        return replace(evaluation, without_mislabelled=without_mislabelled(mistakes, len(digits), marked))


def _refuse_trained_on(version: ModelVersion, dataset: Dataset) -> None:
    learnt = [part for part in DATASET_PARTITIONS[dataset] if part in version.train_partitions]
    if learnt:
        raise TrainedOnDataset(
            f"version {version.version} was trained on {', '.join(learnt)}, which {dataset} holds: "
            f"that would measure what it has learnt by heart; measure it on {version.test_dataset}",
            model_version=str(version.version),
            dataset=dataset,
        )


def _lower_priority() -> None:
    """Let requests go first. Only Linux has it per thread; elsewhere it would be the process's."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
