"""McNemar's exact test: against coins counted one by one, and against published values."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.evaluation import exact_p_value


def counted(fixed: int, broken: int) -> Fraction:
    """The same with whole numbers: how many of all rows of coins are at least as uneven."""
    coins, fewer = fixed + broken, min(fixed, broken)
    uneven = sum(comb(coins, heads) for heads in range(coins + 1) if min(heads, coins - heads) <= fewer)
    return Fraction(uneven, 2**coins)


@pytest.mark.parametrize(
    ("fixed", "broken", "expected"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 1, 1.0),
        (6, 0, 0.03125),
        (2, 10, 0.03857421875),
        # Approval of a prime minister, asked twice: Agresti, Categorical Data Analysis, table 11.1.
        (86, 150, 3.7163e-05),
    ],
)
def test_the_p_value_is_the_known_one(fixed: int, broken: int, expected: float) -> None:
    assert exact_p_value(fixed, broken) == pytest.approx(expected, rel=1e-4)


@given(st.integers(0, 100), st.integers(0, 100))
def test_the_p_value_is_that_of_the_coins_whichever_of_the_two_is_better(fixed: int, broken: int) -> None:
    assert exact_p_value(fixed, broken) == pytest.approx(float(counted(fixed, broken)), rel=1e-9)
    assert exact_p_value(fixed, broken) == exact_p_value(broken, fixed) <= 1


def test_more_differences_than_a_float_has_halvings_are_no_less_exact() -> None:
    assert exact_p_value(560, 640) == pytest.approx(float(counted(560, 640)), rel=1e-9)
    assert exact_p_value(10_000, 0) == 0.0
