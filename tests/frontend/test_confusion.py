"""How the confusion matrix is coloured."""

from __future__ import annotations

import numpy as np
import pytest

from frontend.confusion import heat


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
