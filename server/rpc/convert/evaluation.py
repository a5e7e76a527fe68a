"""Evaluations and labelled digits, between proto and domain."""

from __future__ import annotations

from collections.abc import Mapping

from digits.v1 import evaluation_pb2 as pb

from server.datasets import Dataset
from server.errors import InvalidArgument
from server.evaluation import (
    Evaluation,
    EvaluationState,
    LikelyLabelError,
    MisclassifiedDigit,
    MisclassifiedFilter,
    Order,
    TestDigit,
)
from server.rpc.convert.common import DATASETS, enum_from_proto, optional_digit, timestamp

STATES: Mapping[EvaluationState, int] = {
    EvaluationState.RUNNING: pb.EVALUATION_STATE_RUNNING,
    EvaluationState.SUCCEEDED: pb.EVALUATION_STATE_SUCCEEDED,
    EvaluationState.FAILED: pb.EVALUATION_STATE_FAILED,
}
ORDERS: Mapping[Order, int] = {
    Order.CONFIDENCE: pb.MISCLASSIFIED_ORDER_CONFIDENCE,
    Order.LOSS: pb.MISCLASSIFIED_ORDER_LOSS,
    Order.INDEX: pb.MISCLASSIFIED_ORDER_INDEX,
    Order.RANDOM: pb.MISCLASSIFIED_ORDER_RANDOM,
    Order.MARGIN: pb.MISCLASSIFIED_ORDER_MARGIN,
}


def dataset(value: int) -> Dataset | None:
    """The data set that a request names, None when it leaves the choice to the server."""
    return enum_from_proto("dataset", value, DATASETS)


def misclassified_filter(request: pb.ListMisclassifiedRequest) -> MisclassifiedFilter:
    """Which mistakes are asked for. Raises InvalidArgument for a filter out of its range."""
    low = _share(request, "min_confidence", 0.0)
    high = _share(request, "max_confidence", 1.0)
    if low > high:
        raise InvalidArgument("max_confidence", f"expected at least min_confidence ({low:g}), got {high:g}")
    return MisclassifiedFilter(
        true_digit=optional_digit(request, "true_digit"),
        predicted_digit=optional_digit(request, "predicted_digit"),
        min_confidence=low,
        max_confidence=high,
        order=enum_from_proto("order", request.order, ORDERS) or Order.CONFIDENCE,
        seed=request.seed,
    )


def _share(request: pb.ListMisclassifiedRequest, field: str, default: float) -> float:
    if not request.HasField(field):  # type: ignore[arg-type]
        return default
    value: float = getattr(request, field)
    # Written so that NaN is refused too.
    if not 0.0 <= value <= 1.0:
        raise InvalidArgument(field, f"expected a confidence from 0 to 1, or unset, got {value:g}")
    return value


def evaluation(result: Evaluation) -> pb.Evaluation:
    """An evaluation as it stands; its numbers only once it has succeeded."""
    message = pb.Evaluation(
        evaluation_id=result.evaluation_id,
        model_version=result.model_version,
        dataset=DATASETS[result.dataset],  # type: ignore[arg-type]
        state=STATES[result.state],  # type: ignore[arg-type]
        failure_reason=result.failure_reason,
        create_time=timestamp(result.created),
        end_time=timestamp(result.ended),
    )
    metrics = result.metrics
    if metrics is not None:
        message.images = metrics.images
        message.misclassified = metrics.misclassified
        message.loss = metrics.loss
        message.accuracy = metrics.accuracy
        message.accuracy_low = metrics.accuracy_low
        message.accuracy_high = metrics.accuracy_high
        if metrics.expected_calibration_error is not None:
            message.expected_calibration_error = metrics.expected_calibration_error
        message.confusion_matrix.extend(metrics.confusion_matrix.ravel().tolist())
        for digit, one in enumerate(metrics.per_class):
            message.per_class.add(
                digit=digit, precision=one.precision, recall=one.recall, f1=one.f1, support=one.support
            )
    without = result.without_mislabelled
    if without is not None:
        message.mislabelled = without.mislabelled
        message.accuracy_without_mislabelled = without.accuracy
        message.accuracy_without_mislabelled_low = without.accuracy_low
        message.accuracy_without_mislabelled_high = without.accuracy_high
    return message


def test_digit(digit: TestDigit) -> pb.TestDigit:
    """A digit of a data set."""
    return pb.TestDigit(index=digit.index, pixels=digit.image.tobytes(), label=digit.label)


def misclassified_digit(digit: MisclassifiedDigit) -> pb.MisclassifiedDigit:
    """A digit that a version misreads."""
    return pb.MisclassifiedDigit(
        index=digit.index,
        pixels=digit.image.tobytes(),
        true_digit=digit.true_digit,
        predicted_digit=digit.predicted_digit,
        confidence=digit.confidence,
        probabilities=digit.probabilities.tolist(),
        loss=digit.loss,
        margin=digit.margin,
        is_marked_mislabelled=digit.is_marked_mislabelled,
    )


def likely_label_error(digit: LikelyLabelError) -> pb.LikelyLabelError:
    """A digit whose label is likely wrong."""
    return pb.LikelyLabelError(
        index=digit.index,
        pixels=digit.image.tobytes(),
        label=digit.label,
        suggested_label=digit.suggested_label,
        score=digit.score,
        probabilities=digit.probabilities.tolist(),
        is_marked_mislabelled=digit.is_marked_mislabelled,
        correct_label=digit.correct_label,
    )
