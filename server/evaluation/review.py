"""What people do with evaluations: compare two, doubt the labels, and say which of them are wrong."""

from __future__ import annotations

from server.datasets import DataPreparation, Dataset
from server.evaluation.comparison import Comparison, ComparisonFilter, compare
from server.evaluation.evaluations import Evaluations
from server.evaluation.label_errors import LikelyLabelError, likely_label_errors
from server.evaluation.records import Evaluation


class Review:
    """Looks at what was measured; measures nothing itself. May be used from any thread."""

    def __init__(self, evaluations: Evaluations, data: DataPreparation) -> None:
        self._evaluations = evaluations
        self._data = data

    def compare(
        self,
        base_version: int,
        candidate_version: int,
        dataset: Dataset,
        chosen: ComparisonFilter,
        offset: int,
        limit: int,
    ) -> Comparison:
        """The newest evaluations of two versions on a data set, side by side.

        Raises ModelNotFound; EvaluationNotFound for a version that was not measured on it; DataPreparing;
        DatasetUnavailable when the images, or the answers, are not on this machine.
        """
        base, candidate = (
            self._evaluations.answers(self._evaluations.latest(version, dataset))
            for version in (base_version, candidate_version)
        )
        marked = self._evaluations.marks.of(dataset, base.digits)
        return compare(base, candidate, chosen, offset, limit, marked)

    def likely_label_errors(
        self, version: int, dataset: Dataset, offset: int, limit: int
    ) -> tuple[list[LikelyLabelError], int, Evaluation]:
        """A page of the digits whose label a version doubts, their number, and the evaluation it is from.

        Raises what `compare` raises.
        """
        evaluation = self._evaluations.latest(version, dataset)
        answers = self._evaluations.answers(evaluation)
        marked = self._evaluations.marks.of(dataset, answers.digits)
        return *likely_label_errors(answers, marked, offset, limit), evaluation

    def mark_mislabelled(
        self, dataset: Dataset, index: int, is_mislabelled: bool, correct_label: int | None
    ) -> int:
        """Mark a digit as labelled wrongly, or take that back; returns how many of the data set are marked.

        Raises InvalidArgument for an index outside of it, or a `correct_label` that is the label;
        DataPreparing, DatasetUnavailable.
        """
        marks, digits = self._evaluations.marks, self._data.data().dataset(dataset)
        if is_mislabelled:
            marks.mark(dataset, digits, index, correct_label)
        else:
            marks.unmark(dataset, digits, index)
        return len(marks.of(dataset, digits))
