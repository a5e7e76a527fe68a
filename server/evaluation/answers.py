"""The stored answers of evaluations, put together again with the images that they are answers to."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.datasets import Digits
from server.errors import DatasetUnavailable, EvaluationNotFound
from server.evaluation.misclassified import Mistakes
from server.evaluation.records import Evaluation, EvaluationRecords, EvaluationState

# Those of the evaluations that people page through stay in memory: 0.4 MB each.
CACHED = 8


@dataclass(frozen=True, eq=False)
class Answers:
    """What a version answered for every digit of a data set."""

    digits: Digits
    probabilities: npt.NDArray[np.float32]
    """(N, 10) float32, in the order of `digits`."""
    mistakes: Mistakes


class StoredAnswers:
    """The answers of evaluations that have succeeded. May be used from any thread."""

    def __init__(self, records: EvaluationRecords) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, Answers] = OrderedDict()

    def of(self, evaluation: Evaluation, digits: Digits) -> Answers:
        """The answers of an evaluation, `digits` being its data set as it is on this machine.

        Raises EvaluationNotFound for one that has not succeeded; DatasetUnavailable when the answers are
        lost, or when `digits` are not those that were measured.
        """
        with self._lock:
            if evaluation.evaluation_id in self._cached:
                self._cached.move_to_end(evaluation.evaluation_id)
                return self._cached[evaluation.evaluation_id]
        answers = self._load(evaluation, digits)
        with self._lock:
            self._cached[evaluation.evaluation_id] = answers
            if len(self._cached) > CACHED:
                self._cached.popitem(last=False)
        return answers

    def _load(self, evaluation: Evaluation, digits: Digits) -> Answers:
        if evaluation.state is not EvaluationState.SUCCEEDED or evaluation.metrics is None:
            raise EvaluationNotFound(
                f"evaluation {evaluation.evaluation_id} shows no mistakes: it is {evaluation.state}"
            )
        probabilities = self._records.probabilities(evaluation.evaluation_id)
        again = f"; Evaluate measures version {evaluation.model_version} again"
        if probabilities is None:
            raise DatasetUnavailable("the answers of this evaluation are lost" + again)
        # Another MNIST may lie here than the one that was measured: its images would be shown as mistakes.
        labels = np.asarray(digits.labels)
        if len(probabilities) == len(labels):
            mistakes = Mistakes(probabilities, labels)
            if len(mistakes) == evaluation.metrics.misclassified:
                return Answers(digits, probabilities, mistakes)
        raise DatasetUnavailable(
            f"the images of {evaluation.dataset} on this machine are not those that were measured" + again
        )
