"""Texts and their likelihoods, against every way there is through a small scan."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray

from server.numbers.ctc import BLANK, alternatives, likeliest, log_likelihood


@pytest.fixture
def scan() -> NDArray[np.float32]:
    """Four columns of made-up answers."""
    logits = np.random.default_rng(2).normal(0, 2, (4, BLANK + 1))
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), np.float32)


def written(path: tuple[int, ...]) -> str:
    """What a way through the columns stands for."""
    changes = [path[0], *(new for old, new in pairwise(path) if new != old)]
    return "".join(str(each) for each in changes if each != BLANK)


@pytest.mark.parametrize("text", ["", "4", "44", "47", "474", "4444", "1234"])
def test_a_text_is_as_likely_as_all_ways_to_write_it(scan: NDArray[np.float32], text: str) -> None:
    # Only these classes occur in the text; any other one on the way would be another text.
    classes = sorted({int(digit) for digit in text} | {BLANK})
    ways = [path for path in product(classes, repeat=len(scan)) if written(path) == text]
    expected = sum(np.exp(sum(float(scan[t, c]) for t, c in enumerate(path))) for path in ways)
    assert np.exp(log_likelihood(scan, text)) == pytest.approx(expected, rel=1e-5)


def test_a_text_that_does_not_fit_is_impossible(scan: NDArray[np.float32]) -> None:
    # Two alike need a blank between them.
    assert log_likelihood(scan, "444") == -np.inf
    assert log_likelihood(scan, "12345") == -np.inf


@pytest.mark.parametrize("text", ["", "4", "44", "47", "474", "1234", "444"])
def test_alternatives_are_as_likely_as_the_texts_that_they_make(scan: NDArray[np.float32], text: str) -> None:
    found = alternatives(scan, text)
    assert found.shape == (len(text), 10)
    for place, digit in product(range(len(text)), range(10)):
        other = f"{text[:place]}{digit}{text[place + 1 :]}"
        assert found[place, digit] == pytest.approx(log_likelihood(scan, other), rel=1e-9), other


def test_the_likeliest_texts_are_those_of_all_there_are(scan: NDArray[np.float32]) -> None:
    texts = {written(path) for path in product(range(BLANK + 1), repeat=len(scan))}
    expected = sorted(texts, key=lambda text: log_likelihood(scan, text), reverse=True)
    assert likeliest(scan, 3) == expected[:3]
    assert len(likeliest(scan, 10)) == 10


def test_repeated_columns_are_one_digit_and_a_blank_parts_two() -> None:
    def seen(*classes: int) -> NDArray[np.float32]:
        return np.log(np.eye(BLANK + 1, dtype=np.float32)[list(classes)] * 0.9 + 0.01)

    assert likeliest(seen(BLANK, 7, 7, 7, BLANK), 1) == ["7"]
    assert likeliest(seen(7, 7, BLANK, 7, 3), 1) == ["773"]
    assert likeliest(seen(BLANK, BLANK), 1) == [""]
    assert likeliest(seen(), 1) == [""]
