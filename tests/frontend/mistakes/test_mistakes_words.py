"""What the Mistakes page says of a comparison of two versions, and of a share that was counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from digits.client.choices import Dataset
from digits.client.records import Comparison

from frontend.mistakes.interval import wilson
from frontend.mistakes.words import how_often, p_value, verdict

FOUND = Comparison(
    base_version=1,
    candidate_version=3,
    dataset=Dataset.MNIST_TEST,
    images=10_000,
    both_right=9_935,
    fixed=25,
    broken=12,
    both_wrong=28,
    p_value=0.047,
    confusion_difference=np.zeros((10, 10), np.int64),
    digits=(),
    next_page_token="",
    total_size=0,
)


def test_a_difference_beyond_chance_is_called_better() -> None:
    assert verdict(FOUND) == (
        "Version 3 is better than version 1, and that is hardly chance: if both were equally good, "
        "a difference of 25 to 12, or a larger one, would come up about once in 21 comparisons. "
        "(McNemar's exact test, p = 0.047)"
    )


def test_a_version_that_breaks_more_than_it_fixes_is_not_called_better() -> None:
    assert verdict(replace(FOUND, fixed=12, broken=25)).startswith("Version 1 is better than version 3")


def test_a_difference_within_chance_is_not_called_one() -> None:
    said = verdict(replace(FOUND, fixed=14, broken=12, p_value=0.845))

    assert said.startswith(
        "This does not show that version 3 is better than version 1; it may well be chance"
    )
    assert "in about 8 of 10 comparisons" in said


def test_where_there_is_nothing_to_judge_no_test_is_named() -> None:
    assert "McNemar" not in verdict(replace(FOUND, fixed=0, broken=0, p_value=1.0))
    assert "as many digits as it breaks" in verdict(replace(FOUND, fixed=3, broken=3, p_value=1.0))


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (1e-9, "less than once in 1,000 comparisons"),
        (0.001, "about once in 1,000 comparisons"),
        (0.04, "about once in 25 comparisons"),
        (0.3, "in about 3 of 10 comparisons"),
        (1.0, "in nearly every comparison"),
    ],
)
def test_a_probability_is_said_as_a_frequency(probability: float, said: str) -> None:
    assert how_often(probability) == said


def test_a_tiny_p_value_is_not_written_as_nought() -> None:
    assert [p_value(each) for each in (1e-9, 0.0123, 0.5)] == ["p < 0.001", "p = 0.012", "p = 0.50"]


def test_the_interval_of_a_share_is_the_one_that_the_server_gives() -> None:
    # 9,960 of 10,000, as the shipped version's evaluation tells it.
    assert wilson(9_960, 10_000) == pytest.approx((0.99456, 0.99706), abs=1e-5)
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert wilson(0, 10)[0] == pytest.approx(0.0)
