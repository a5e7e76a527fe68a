"""How the confusion matrix is coloured."""

from __future__ import annotations

import numpy as np
import pytest

from frontend.confusion import difference_summary, heat, signed, summary


def test_the_most_frequent_mistake_is_the_hottest_and_the_diagonal_stays_cold() -> None:
    counts = np.diag(np.full(10, 1000))
    counts[4, 9], counts[7, 2] = 30, 1

    colours = heat(counts)

    assert colours[4, 9] == 1.0
    assert not colours.diagonal().any()
    assert np.count_nonzero(colours) == 2


def test_a_single_mistake_is_seen_beside_a_frequent_one() -> None:
    counts = np.zeros((10, 10), np.int64)
    counts[4, 9], counts[7, 2] = 99, 1

    # The logarithm: 2 of 100 on a linear scale would be invisible.
    assert heat(counts)[7, 2] == pytest.approx(np.log(2) / np.log(100))


def test_without_a_mistake_nothing_is_coloured() -> None:
    assert not heat(np.diag(np.full(10, 100))).any()


def test_the_matrix_is_said_in_a_sentence_for_people_who_do_not_see_it() -> None:
    counts = np.diag(np.full(10, 1000))
    assert summary(counts) == "Confusion matrix of 10,000 images: all are read correctly."

    counts[4, 9], counts[7, 2] = 30, 1

    assert summary(counts) == (
        "Confusion matrix of 10,031 images: 31 are misread, most often a 4 as a 9, 30 times."
    )


def test_so_is_the_difference_of_two() -> None:
    difference = np.zeros((10, 10), np.int64)
    assert difference_summary(difference) == "Difference of the confusion matrices: none."

    difference[4, 9], difference[4, 4], difference[7, 2] = -12, 9, 3

    assert difference_summary(difference) == (
        "Difference of the confusion matrices, at most: a 4 read as a 9 12 times less often; "
        "a 7 read as a 2 3 times more often."
    )


def test_a_difference_has_a_sign_as_wide_as_a_digit() -> None:
    assert [signed(3), signed(-3)] == ["+3", "−3"]
