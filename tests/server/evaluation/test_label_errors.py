"""Labels that are likely wrong: found where they were put wrong, and where they are known to be."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import server
from server.datasets import Data, Dataset, Digits
from server.datasets.mnist import MNIST_SHA256, read_mnist
from server.evaluation import LikelyLabelError
from server.evaluation.answers import Answers
from server.evaluation.label_errors import label_error_scores, likely_label_errors
from server.evaluation.misclassified import Mistakes
from server.inference import Engine

SHIPPED = Path(server.__file__).parent / "shipped"
MNIST = os.environ.get("DIGITS_MNIST", "")
# MNIST test digits that most of five people each did not read as their label (Northcutt, Athalye, Mueller
# 2021, labelerrors.com), as anybody can see: 4, 9, 3, 3 and 6, labelled 9, 4, 5, 5 and 5.
PUBLISHED = {1901: 4, 2130: 9, 2597: 3, 5937: 3, 9729: 6}


def answered(digits: Digits, probabilities: npt.NDArray[np.float32]) -> Answers:
    return Answers(digits, probabilities, Mistakes(probabilities, np.asarray(digits.labels)))


@pytest.fixture(scope="module")
def digits(builtin_data: Data) -> Digits:
    """1,000 digits that the shipped version never learnt."""
    return builtin_data.dataset(Dataset.BUILTIN_TEST)


@pytest.fixture(scope="module")
def probabilities(digits: Digits) -> npt.NDArray[np.float32]:
    engine = Engine(SHIPPED / "model.onnx")
    parts = [engine.probabilities(digits.images[start : start + 50]) for start in range(0, 1000, 50)]
    return np.concatenate(parts)


def found(answers: Answers, limit: int = 1000) -> list[LikelyLabelError]:
    return likely_label_errors(answers, {}, 0, limit)[0]


def test_labels_that_were_put_wrong_come_first_with_what_they_were(
    digits: Digits, probabilities: npt.NDArray[np.float32]
) -> None:
    generator = np.random.default_rng(1)
    spoilt = generator.choice(1000, 30, replace=False)
    labels = np.array(digits.labels)
    labels[spoilt] = (labels[spoilt] + generator.integers(1, 10, 30)) % 10
    first = found(answered(Digits(digits.images, labels), probabilities), limit=30)

    assert len({one.index for one in first} & set(spoilt.tolist())) >= 28
    for one in first:
        if one.index in spoilt:
            assert (one.label, one.suggested_label) == (labels[one.index], digits.labels[one.index])


def test_the_surest_come_first_and_every_misread_digit_is_among_them(
    digits: Digits, probabilities: npt.NDArray[np.float32]
) -> None:
    answers = answered(digits, probabilities)
    shown = found(answers)
    scores = [one.score for one in shown]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert {one.index for one in shown} >= set(answers.mistakes.indices.tolist())
    for one in shown:
        assert one.suggested_label != one.label == digits.labels[one.index]
        assert one.probabilities[one.label] < 0.5
        np.testing.assert_array_equal(one.image, digits.images[one.index])


def test_the_score_goes_from_a_certain_label_to_a_certain_error() -> None:
    certain = np.eye(10, dtype=np.float32)[[4, 4]]
    torn = np.zeros((1, 10), np.float32)
    torn[0, [4, 9]] = 0.5
    scores, suggested = label_error_scores(np.concatenate([certain, torn]), np.array([4, 9, 9], np.uint8))
    assert scores.tolist() == [0.0, 1.0, 0.5]
    assert suggested[1:].tolist() == [4, 4]


def test_what_is_surely_another_digit_comes_before_what_could_be_any() -> None:
    surely = [0.1, 0.9, 0, 0, 0, 0, 0, 0, 0, 0]
    scrawl = [0.05, 0.15, 0.15, 0.15, 0.15, 0.15, 0.05, 0.05, 0.05, 0.05]
    scores, _ = label_error_scores(np.array([surely, scrawl], np.float32), np.array([0, 0], np.uint8))
    assert scores[0] > scores[1]


def test_pages_follow_each_other_and_marks_are_shown(
    digits: Digits, probabilities: npt.NDArray[np.float32]
) -> None:
    labels = ((np.asarray(digits.labels) + 1) % 10).astype(np.uint8)
    answers = answered(Digits(digits.images, labels), probabilities)
    everything = [one.index for one in found(answers)]
    marked = {everything[0]: 7, everything[2]: None}
    first, total = likely_label_errors(answers, marked, 0, 3)
    second, _ = likely_label_errors(answers, marked, 3, 3)

    assert total == len(everything)
    assert [one.index for one in first + second] == everything[:6]
    assert [one.is_marked_mislabelled for one in first] == [True, False, True]
    assert [one.correct_label for one in first] == [7, None, None]


@pytest.mark.skipif(not MNIST, reason="needs DIGITS_MNIST")
def test_published_label_errors_of_mnist_are_among_the_first_of_ten_thousand() -> None:
    digits = read_mnist(Path(MNIST), MNIST_SHA256).test
    with np.load(SHIPPED / "probabilities.npz") as arrays:
        answers = answered(digits, arrays["probabilities"])
    suggested = {one.index: one.suggested_label for one in found(answers, limit=40)}
    assert {index: suggested.get(index) for index in PUBLISHED} == PUBLISHED
