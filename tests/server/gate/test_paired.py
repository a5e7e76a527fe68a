"""The interval of a paired difference: published figures, McNemar's test, how often it holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gate.paired import paired_interval
from server.metrics import Z_95


@pytest.mark.parametrize(
    ("better", "worse", "images", "low", "high"),
    [
        # Airway hyper-responsiveness before and after a transplantation (Fagerland, Lydersen, Laake 2014).
        (1, 7, 21, -0.517, -0.026),
        # What scoreci.mp of the R package PropCIs gives.
        (43, 0, 44, 0.8185, 0.9960),
        (60, 20, 1000, 0.0231, 0.0584),
    ],
)
def test_it_gives_the_published_figures(
    better: int, worse: int, images: int, low: float, high: float
) -> None:
    assert paired_interval(better, worse, images) == pytest.approx((low, high), abs=6e-4)


def test_two_versions_that_agree_on_all_images_may_still_differ_a_little() -> None:
    low, high = paired_interval(0, 0, 5000)
    assert high == pytest.approx(Z_95**2 / (5000 + Z_95**2))
    assert low == -high


def test_more_images_make_it_narrower() -> None:
    few, many = paired_interval(3, 6, 500), paired_interval(30, 60, 5000)
    assert many[1] - many[0] < (few[1] - few[0]) / 2


@given(st.data())
def test_it_holds_the_difference_and_mirrors_when_the_versions_change_places(data: st.DataObject) -> None:
    images = data.draw(st.integers(1, 60_000))
    better = data.draw(st.integers(0, images))
    worse = data.draw(st.integers(0, images - better))
    low, high = paired_interval(better, worse, images)
    assert -1 <= low <= (better - worse) / images <= high <= 1
    assert paired_interval(worse, better, images) == pytest.approx((-high, -low), abs=1e-9)


@given(st.integers(0, 200), st.integers(0, 200))
def test_it_leaves_out_zero_exactly_when_mcnemars_test_finds_a_difference(better: int, worse: int) -> None:
    low, high = paired_interval(better, worse, 5000)
    statistic = (better - worse) / math.sqrt(better + worse) if better + worse else 0.0
    assert (high < 0) == (statistic < -Z_95)
    assert (low > 0) == (statistic > Z_95)


@pytest.mark.parametrize(("only_first", "only_second"), [(0.003, 0.003), (0.002, 0.012), (0.05, 0.01)])
def test_it_holds_the_true_difference_about_95_times_in_100(only_first: float, only_second: float) -> None:
    images, rounds, generator = 1000, 1000, np.random.default_rng(1)
    shares = (only_first, only_second, 1 - only_first - only_second)
    held = 0
    for better, worse, _ in generator.multinomial(images, shares, rounds):
        low, high = paired_interval(int(better), int(worse), images)
        held += low <= only_first - only_second <= high
    assert 0.93 <= held / rounds <= 0.98


@pytest.mark.parametrize(("better", "worse", "images"), [(0, 0, 0), (-1, 2, 5), (2, -1, 5), (3, 3, 5)])
def test_counts_that_cannot_be_are_refused(better: int, worse: int, images: int) -> None:
    with pytest.raises(ValueError, match="expected better"):
        paired_interval(better, worse, images)
