"""Evaluations, and the digits that versions misread."""

from __future__ import annotations

import numpy as np

from digits.client import choices, records
from digits.client.messages.fields import create_time, optional, optional_int, pixels, time
from digits.v1 import evaluation_pb2


def evaluation(message: evaluation_pb2.Evaluation) -> records.Evaluation:
    without = optional(message, "accuracy_without_mislabelled")
    counts = message.confusion_matrix or [0] * 100
    return records.Evaluation(
        evaluation_id=message.evaluation_id,
        model_version=message.model_version,
        dataset=choices.Dataset(message.dataset),
        state=choices.EvaluationState(message.state),
        failure_reason=message.failure_reason,
        create_time=create_time(message),
        end_time=time(message, "end_time"),
        images=message.images,
        misclassified=message.misclassified,
        loss=message.loss,
        accuracy=message.accuracy,
        accuracy_low=message.accuracy_low,
        accuracy_high=message.accuracy_high,
        per_class=tuple(
            records.ClassMetrics(row.digit, row.precision, row.recall, row.f1, row.support)
            for row in message.per_class
        ),
        confusion_matrix=np.array(counts, dtype=np.int64).reshape(10, 10),
        expected_calibration_error=optional(message, "expected_calibration_error"),
        mislabelled=message.mislabelled,
        accuracy_without_mislabelled=without,
        accuracy_without_mislabelled_low=None
        if without is None
        else message.accuracy_without_mislabelled_low,
        accuracy_without_mislabelled_high=None
        if without is None
        else message.accuracy_without_mislabelled_high,
    )


def test_digit(message: evaluation_pb2.TestDigit) -> records.TestDigit:
    return records.TestDigit(message.index, pixels(message.pixels), message.label)


def misclassified_digit(message: evaluation_pb2.MisclassifiedDigit) -> records.MisclassifiedDigit:
    return records.MisclassifiedDigit(
        index=message.index,
        pixels=pixels(message.pixels),
        true_digit=message.true_digit,
        predicted_digit=message.predicted_digit,
        confidence=message.confidence,
        probabilities=tuple(message.probabilities),
        loss=message.loss,
        margin=message.margin,
        is_marked_mislabelled=message.is_marked_mislabelled,
    )


def test_digits(message: evaluation_pb2.ListTestDigitsResponse) -> records.TestDigits:
    return records.TestDigits(
        tuple(test_digit(digit) for digit in message.digits), message.next_page_token, message.total_size
    )


def misclassified_digits(message: evaluation_pb2.ListMisclassifiedResponse) -> records.MisclassifiedDigits:
    return records.MisclassifiedDigits(
        tuple(misclassified_digit(digit) for digit in message.digits),
        message.next_page_token,
        message.total_size,
        message.evaluation_id,
    )


def likely_label_error(message: evaluation_pb2.LikelyLabelError) -> records.LikelyLabelError:
    return records.LikelyLabelError(
        index=message.index,
        pixels=pixels(message.pixels),
        label=message.label,
        suggested_label=message.suggested_label,
        score=message.score,
        probabilities=tuple(message.probabilities),
        is_marked_mislabelled=message.is_marked_mislabelled,
        correct_label=optional_int(message, "correct_label"),
    )


def likely_label_errors(message: evaluation_pb2.ListLikelyLabelErrorsResponse) -> records.LikelyLabelErrors:
    return records.LikelyLabelErrors(
        tuple(likely_label_error(digit) for digit in message.digits),
        message.next_page_token,
        message.total_size,
        evaluation(message.evaluation),
    )
