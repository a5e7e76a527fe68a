"""What two versions read differently."""

from __future__ import annotations

import numpy as np

from digits.client import choices, records
from digits.client.messages.fields import pixels
from digits.v1 import evaluation_pb2


def reading(message: evaluation_pb2.Reading) -> records.Reading:
    return records.Reading(message.predicted_digit, message.confidence, tuple(message.probabilities))


def compared_digit(message: evaluation_pb2.ComparedDigit) -> records.ComparedDigit:
    return records.ComparedDigit(
        index=message.index,
        pixels=pixels(message.pixels),
        true_digit=message.true_digit,
        base=reading(message.base),
        candidate=reading(message.candidate),
        outcome=choices.ComparisonOutcome(message.outcome),
        is_marked_mislabelled=message.is_marked_mislabelled,
    )


def comparison(message: evaluation_pb2.CompareModelsResponse, candidate_version: int) -> records.Comparison:
    differences = message.confusion_difference or [0] * 100
    return records.Comparison(
        base_version=message.base_version,
        candidate_version=candidate_version,
        dataset=choices.Dataset(message.dataset),
        images=message.images,
        both_right=message.both_right,
        fixed=message.fixed,
        broken=message.broken,
        both_wrong=message.both_wrong,
        p_value=message.p_value,
        confusion_difference=np.array(differences, dtype=np.int64).reshape(10, 10),
        digits=tuple(compared_digit(digit) for digit in message.digits),
        next_page_token=message.next_page_token,
        total_size=message.total_size,
    )
