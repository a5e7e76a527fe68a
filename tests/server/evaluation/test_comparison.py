"""Two versions on the same digits: what only one of them reads rightly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from server.datasets import Digits
from server.evaluation import Comparison, ComparisonFilter, Outcome, exact_p_value
from server.evaluation.answers import Answers
from server.evaluation.comparison import compare
from server.evaluation.misclassified import Mistakes

COUNT = 200


@pytest.fixture(scope="module")
def digits() -> Digits:
    """200 images, each filled with its index."""
    images = np.repeat(np.arange(COUNT, dtype=np.uint8), 784).reshape(COUNT, 28, 28)
    return Digits(images, np.random.default_rng(5).integers(0, 10, COUNT).astype(np.uint8))


def answers(digits: Digits, seed: int, share_right: float) -> Answers:
    """A reader that is right about a share of the digits, and sure of some of them only."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(10, 0.3), size=COUNT).astype(np.float32)
    is_known = generator.random(COUNT) < share_right
    probabilities[is_known] = np.eye(10, dtype=np.float32)[digits.labels[is_known]]
    return Answers(digits, probabilities, Mistakes(probabilities, digits.labels))


@pytest.fixture(scope="module")
def base(digits: Digits) -> Answers:
    return answers(digits, seed=1, share_right=0.6)


@pytest.fixture(scope="module")
def candidate(digits: Digits) -> Answers:
    return answers(digits, seed=2, share_right=0.8)


def whole(base: Answers, candidate: Answers, **chosen: object) -> Comparison:
    return compare(base, candidate, ComparisonFilter(**chosen), 0, COUNT, marked={})  # type: ignore[arg-type]


def wrong(one: Answers) -> set[int]:
    return set(one.mistakes.indices.tolist())


def test_every_digit_that_either_misreads_is_there_once_in_the_order_of_the_data_set(
    base: Answers, candidate: Answers
) -> None:
    comparison = whole(base, candidate)
    assert [one.index for one in comparison.digits] == sorted(wrong(base) | wrong(candidate))
    assert comparison.total == len(comparison.digits)


def test_a_digit_is_fixed_broken_or_wrong_in_both(base: Answers, candidate: Answers) -> None:
    expected = {
        Outcome.FIXED: wrong(base) - wrong(candidate),
        Outcome.BROKEN: wrong(candidate) - wrong(base),
        Outcome.BOTH_WRONG: wrong(base) & wrong(candidate),
    }
    for outcome, indices in expected.items():
        filtered = whole(base, candidate, outcome=outcome)
        assert {one.index for one in filtered.digits} == indices
        assert {one.outcome for one in filtered.digits} == {outcome}
        assert filtered.counts[outcome] == len(indices) > 0


def test_counts_and_p_value_are_those_of_all_digits_whatever_the_filter(
    base: Answers, candidate: Answers
) -> None:
    comparison = whole(base, candidate)
    fixed, broken = comparison.counts[Outcome.FIXED], comparison.counts[Outcome.BROKEN]
    assert comparison.p_value == exact_p_value(fixed, broken) < 0.01
    filtered = whole(base, candidate, outcome=Outcome.FIXED, true_digit=3)
    assert (filtered.counts, filtered.p_value) == (comparison.counts, comparison.p_value)
    assert 0 < filtered.total < fixed


def test_a_digit_carries_its_image_its_label_and_both_readings(base: Answers, candidate: Answers) -> None:
    for one in whole(base, candidate).digits:
        np.testing.assert_array_equal(one.image, base.digits.images[one.index])
        assert one.true_digit == base.digits.labels[one.index]
        for reading, of in ((one.base, base), (one.candidate, candidate)):
            row: npt.NDArray[np.float32] = of.probabilities[one.index]
            np.testing.assert_array_equal(reading.probabilities, row)
            assert (reading.predicted_digit, reading.confidence) == (row.argmax(), row.max())


def test_the_difference_of_the_confusions_adds_up(base: Answers, candidate: Answers) -> None:
    comparison = whole(base, candidate)
    difference = comparison.confusion_difference
    # Every digit is read as something by both.
    assert difference.sum(axis=1).tolist() == [0] * 10
    assert np.trace(difference) == comparison.counts[Outcome.FIXED] - comparison.counts[Outcome.BROKEN]


def test_a_version_does_not_differ_from_itself(base: Answers) -> None:
    comparison = whole(base, base)
    assert comparison.counts == {
        Outcome.FIXED: 0,
        Outcome.BROKEN: 0,
        Outcome.BOTH_WRONG: len(base.mistakes),
    }
    assert comparison.p_value == 1.0
    assert not comparison.confusion_difference.any()


def test_pages_follow_each_other_and_marks_are_shown(base: Answers, candidate: Answers) -> None:
    everything = [one.index for one in whole(base, candidate).digits]
    marked = {everything[1]: None}
    first = compare(base, candidate, ComparisonFilter(), 0, 3, marked)
    second = compare(base, candidate, ComparisonFilter(), 3, 3, marked)
    assert [one.index for one in (*first.digits, *second.digits)] == everything[:6]
    assert [one.is_marked_mislabelled for one in first.digits] == [False, True, False]
    assert first.total == second.total == len(everything)
