"""Comparisons of two versions, between proto and domain."""

from __future__ import annotations

from collections.abc import Mapping

from digits.v1 import evaluation_pb2 as pb

from server.datasets import Dataset
from server.errors import InvalidArgument
from server.evaluation import ComparedDigit, Comparison, ComparisonFilter, Outcome, Reading
from server.rpc.convert.common import DATASETS, enum_from_proto, optional_digit

OUTCOMES: Mapping[Outcome, int] = {
    Outcome.FIXED: pb.COMPARISON_OUTCOME_FIXED,
    Outcome.BROKEN: pb.COMPARISON_OUTCOME_BROKEN,
    Outcome.BOTH_WRONG: pb.COMPARISON_OUTCOME_BOTH_WRONG,
}


def candidate_version(value: int) -> int:
    """The version that is compared. Raises InvalidArgument when none is named."""
    if value < 1:
        raise InvalidArgument("candidate_version", f"expected a version from 1, got {value}")
    return value


def comparison_filter(request: pb.CompareModelsRequest) -> ComparisonFilter:
    """Which digits of a comparison are asked for. Raises InvalidArgument for a filter out of its range."""
    return ComparisonFilter(
        outcome=enum_from_proto("outcome", request.outcome, OUTCOMES),
        true_digit=optional_digit(request, "true_digit"),
    )


def comparison(
    result: Comparison, base_version: int, dataset: Dataset, next_page_token: str
) -> pb.CompareModelsResponse:
    """Two versions side by side."""
    return pb.CompareModelsResponse(
        images=result.images,
        both_right=result.images - sum(result.counts.values()),
        fixed=result.counts[Outcome.FIXED],
        broken=result.counts[Outcome.BROKEN],
        both_wrong=result.counts[Outcome.BOTH_WRONG],
        p_value=result.p_value,
        confusion_difference=result.confusion_difference.ravel().tolist(),
        digits=[_compared_digit(digit) for digit in result.digits],
        next_page_token=next_page_token,
        total_size=result.total,
        base_version=base_version,
        dataset=DATASETS[dataset],  # type: ignore[arg-type]
    )


def _compared_digit(digit: ComparedDigit) -> pb.ComparedDigit:
    return pb.ComparedDigit(
        index=digit.index,
        pixels=digit.image.tobytes(),
        true_digit=digit.true_digit,
        base=_reading(digit.base),
        candidate=_reading(digit.candidate),
        outcome=OUTCOMES[digit.outcome],  # type: ignore[arg-type]
        is_marked_mislabelled=digit.is_marked_mislabelled,
    )


def _reading(reading: Reading) -> pb.Reading:
    return pb.Reading(
        predicted_digit=reading.predicted_digit,
        confidence=reading.confidence,
        probabilities=reading.probabilities.tolist(),
    )
