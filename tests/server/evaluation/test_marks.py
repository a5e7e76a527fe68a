"""Marks on labels: an overlay that stays with its image, and the accuracy without what is marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from live_postgres import on_both
from sqlalchemy import Engine as Database

from server.datasets import Data, Dataset, Digits
from server.errors import InvalidArgument
from server.evaluation import Evaluations, MisclassifiedFilter, Order, Review
from server.evaluation.marks import Marks
from server.metrics import wilson_interval
from server.models import ModelVersion

pytestmark = on_both

TEST = Dataset.BUILTIN_TEST


@pytest.fixture
def digits(builtin_data: Data) -> Digits:
    return builtin_data.dataset(TEST)


@pytest.fixture
def marks(database: Database) -> Marks:
    return Marks(database)


def other_than(label: np.uint8) -> int:
    return (int(label) + 1) % 10


def test_a_mark_is_kept_with_what_it_is_instead_until_it_is_taken_back(
    marks: Marks, database: Database, digits: Digits
) -> None:
    marks.mark(TEST, digits, 3, other_than(digits.labels[3]))
    marks.mark(TEST, digits, 7, None)
    reopened = Marks(database)
    assert reopened.of(TEST, digits) == {3: other_than(digits.labels[3]), 7: None}

    reopened.unmark(TEST, digits, 3)
    assert marks.of(TEST, digits) == {7: None}


def test_to_repeat_a_mark_or_to_take_back_what_is_not_there_is_no_error(marks: Marks, digits: Digits) -> None:
    marks.unmark(TEST, digits, 3)
    marks.mark(TEST, digits, 3, None)
    marks.mark(TEST, digits, 3, other_than(digits.labels[3]))
    assert marks.of(TEST, digits) == {3: other_than(digits.labels[3])}


def test_marks_belong_to_one_data_set(marks: Marks, builtin_data: Data, digits: Digits) -> None:
    marks.mark(TEST, digits, 3, None)
    assert marks.of(Dataset.BUILTIN_DIGITS, builtin_data.dataset(Dataset.BUILTIN_DIGITS)) == {}


def test_a_mark_never_sticks_to_another_image_in_the_same_place(marks: Marks, digits: Digits) -> None:
    marks.mark(TEST, digits, 3, None)
    others = Digits(digits.images[::-1], digits.labels[::-1])
    relabelled = Digits(digits.images, ((digits.labels + 1) % 10).astype(np.uint8))
    fewer = digits[:2]
    assert [marks.of(TEST, other) for other in (others, relabelled, fewer)] == [{}, {}, {}]
    marks.mark(TEST, others, 3, None)
    marks.unmark(TEST, others, 3)
    # With the old digits back it is there again.
    assert marks.of(TEST, digits) == {3: None}


@pytest.mark.parametrize("index", [-1, 1000])
def test_there_is_no_mark_outside_of_the_data_set(marks: Marks, digits: Digits, index: int) -> None:
    for change in (lambda: marks.mark(TEST, digits, index, None), lambda: marks.unmark(TEST, digits, index)):
        with pytest.raises(InvalidArgument, match=f"index: expected 0 to 999, got {index}"):
            change()


def test_what_is_instead_cannot_be_the_label_itself(marks: Marks, digits: Digits) -> None:
    with pytest.raises(InvalidArgument, match="correct_label: expected another digit than the label"):
        marks.mark(TEST, digits, 3, int(digits.labels[3]))
    assert marks.of(TEST, digits) == {}


def test_the_accuracy_is_told_again_without_what_is_marked(
    evaluations: Evaluations, version: ModelVersion
) -> None:
    evaluations.adopt(version)
    before = evaluations.latest(1, TEST)
    assert before.without_mislabelled is None
    chosen = MisclassifiedFilter(order=Order.INDEX)
    shown, misread = evaluations.misclassified(before.evaluation_id, chosen, 0, 1000)
    wrong = [one.index for one in shown]
    right = next(index for index in range(1000) if index not in wrong)
    digits = evaluations.answers(before).digits
    for index in (*wrong[:2], right):
        evaluations.marks.mark(TEST, digits, index, None)

    after = evaluations.get(before.evaluation_id)
    assert before.metrics is not None
    assert after.metrics is not None
    assert after.metrics.to_json() == before.metrics.to_json()
    without = after.without_mislabelled
    assert without is not None
    rightly = 997 - (misread - 2)
    assert (without.mislabelled, without.accuracy) == (3, rightly / 997)
    assert (without.accuracy_low, without.accuracy_high) == wilson_interval(rightly, 997)
    assert evaluations.latest(1, TEST).without_mislabelled == without
    shown, _ = evaluations.misclassified(before.evaluation_id, chosen, 0, 3)
    assert [one.is_marked_mislabelled for one in shown] == [True, True, False]


def test_without_the_images_the_numbers_are_told_as_they_were_measured(
    open_evaluations: Callable[..., Evaluations], version: ModelVersion, builtin_data: Data
) -> None:
    with_images = open_evaluations()
    with_images.adopt(version)
    with_images.marks.mark(TEST, builtin_data.dataset(TEST), 3, None)
    evaluation = open_evaluations(data=None).latest(1, TEST)
    assert evaluation.metrics is not None
    assert evaluation.without_mislabelled is None


def test_how_many_are_marked_is_told_with_every_mark(
    evaluations: Evaluations, prepared: Any, digits: Digits
) -> None:
    review = Review(evaluations, prepared)
    assert review.mark_mislabelled(TEST, 1, True, None) == 1
    assert review.mark_mislabelled(TEST, 2, True, other_than(digits.labels[2])) == 2
    assert review.mark_mislabelled(TEST, 1, False, None) == 1
