"""Texts and their likelihoods, against every way there is through a small scan."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray

from server.numbers.ctc import BLANK, alternatives, likeliest, log_likelihoods, mean


@pytest.fixture
def scans() -> NDArray[np.float32]:
    """Made-up answers: four columns, seen in three ways."""
    logits = np.random.default_rng(2).normal(0, 2, (3, 4, BLANK + 1))
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=2, keepdims=True), np.float32)


@pytest.fixture
def scan(scans: NDArray[np.float32]) -> NDArray[np.float32]:
    """Four columns of made-up answers."""
    return np.asarray(scans[0])


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
    assert np.exp(log_likelihoods(scan[None], [text])[0]) == pytest.approx(expected, rel=1e-5)


def test_a_text_that_does_not_fit_is_impossible(scan: NDArray[np.float32]) -> None:
    # Two alike need a blank between them.
    assert log_likelihoods(scan[None], ["444", "12345"]).tolist() == [-np.inf, -np.inf]


def test_texts_are_as_likely_together_as_each_alone(scan: NDArray[np.float32]) -> None:
    texts = ["", "4", "474", "44"]
    alone = [log_likelihoods(scan[None], [text])[0] for text in texts]
    assert log_likelihoods(scan[None], texts) == pytest.approx(alone, rel=1e-9)


def test_of_several_scans_the_means_count(scans: NDArray[np.float32]) -> None:
    each = [log_likelihoods(scan[None], ["47", "1"]) for scan in scans]
    assert log_likelihoods(scans, ["47", "1"]) == pytest.approx(np.mean(each, axis=0), rel=1e-9)
    others = [alternatives(scan[None], "47") for scan in scans]
    np.testing.assert_allclose(alternatives(scans, "47"), np.mean(others, axis=0), rtol=1e-9)
    one = mean(scans)
    np.testing.assert_allclose(np.exp(one).sum(axis=1), 1, atol=1e-5)
    means = scans.mean(axis=0)
    # The classes of a column differ as their means do.
    np.testing.assert_allclose(one - one[:, :1], means - means[:, :1], atol=1e-5)


@pytest.mark.parametrize("text", ["", "4", "44", "47", "474", "1234", "444"])
def test_alternatives_are_as_likely_as_the_texts_that_they_make(scan: NDArray[np.float32], text: str) -> None:
    found = alternatives(scan[None], text)
    assert found.shape == (len(text), 10)
    for place, digit in product(range(len(text)), range(10)):
        other = f"{text[:place]}{digit}{text[place + 1 :]}"
        expected = log_likelihoods(scan[None], [other])[0]
        assert found[place, digit] == pytest.approx(expected, rel=1e-9), other


def test_the_likeliest_texts_are_those_of_all_there_are(scan: NDArray[np.float32]) -> None:
    texts = {written(path) for path in product(range(BLANK + 1), repeat=len(scan))}
    expected = sorted(texts, key=lambda text: float(log_likelihoods(scan[None], [text])[0]), reverse=True)
    assert likeliest(scan, 3) == expected[:3]
    assert len(likeliest(scan, 10)) == 10


def test_repeated_columns_are_one_digit_and_a_blank_parts_two() -> None:
    def seen(*classes: int) -> NDArray[np.float32]:
        return np.log(np.eye(BLANK + 1, dtype=np.float32)[list(classes)] * 0.9 + 0.01)

    assert likeliest(seen(BLANK, 7, 7, 7, BLANK), 1) == ["7"]
    assert likeliest(seen(7, 7, BLANK, 7, 3), 1) == ["773"]
    assert likeliest(seen(BLANK, BLANK), 1) == [""]
    assert likeliest(seen(), 1) == [""]
