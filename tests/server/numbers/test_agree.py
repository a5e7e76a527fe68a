"""Where the cuts and the scan of a line differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.numbers import Line, agree, choose
from server.numbers.candidates import Candidates
from server.numbers.choose import stretch_scores
from server.numbers.ctc import BLANK
from server.numbers.division import divide
from server.numbers.judge import CLASSES, MARK, NEITHER


def scan_of(*columns: int, share: float = 0.98) -> NDArray[np.float32]:
    """A scan that is so sure of a class in each column."""
    rest = (1 - share) / BLANK
    return np.log(np.eye(BLANK + 1, dtype=np.float32)[list(columns)] * (share - rest) + rest)


def two_or_one(scan: NDArray[np.float32]) -> tuple[Line, NDArray[np.float32]]:
    """Ink that the judge takes for an 8, and that could be cut into a 3 and a 4."""
    judgement = np.zeros((3, CLASSES), np.float32)
    for row, (digit, share) in enumerate([(3, 0.3), (4, 0.3), (8, 0.9)]):
        judgement[row, digit], judgement[row, NEITHER] = share, 1 - share
    candidates = Candidates(
        np.array([0, 1, 0], np.int32), np.array([1, 2, 2], np.int32), np.zeros((3, 4), np.int32)
    )
    images = np.zeros((3, 28, 28), np.uint8)
    readable = np.arange(3)
    boxes = np.zeros((3, 4), np.int32)
    line = Line(candidates, 3, np.array([0.0, 0.3, 0.6]), judgement, readable, images, boxes, scan)
    answers = np.full((3, 10), 0.01, np.float32)
    answers[[0, 1, 2], [3, 4, 8]] = 0.91
    return line, answers


def test_a_scan_that_is_sure_of_two_digits_parts_them() -> None:
    line, answers = two_or_one(scan_of(BLANK, 3, 3, BLANK, 4, BLANK))
    found = agree(line, answers)
    assert [digit.place for digit in found] == [0, 1]
    assert [int(digit.probabilities.argmax()) for digit in found] == [3, 4]
    assert all(abs(digit.probabilities.sum() - 1) < 1e-5 for digit in found)


def test_a_scan_that_says_the_same_leaves_the_model_its_answer() -> None:
    line, answers = two_or_one(scan_of(BLANK, 8, 8, BLANK))
    (found,) = agree(line, answers)
    assert found.place == 2
    assert np.array_equal(found.probabilities, answers[2])


def test_a_scan_that_is_hardly_surer_does_not_overrule_the_cuts() -> None:
    line, answers = two_or_one(scan_of(BLANK, 8, share=0.1))
    (found,) = agree(line, answers)
    assert found.place == 2


def test_where_cuts_find_only_marks_a_scan_that_is_hardly_surer_reads_no_digit() -> None:
    dash, answers = two_or_one(scan_of(BLANK, BLANK, 1, share=0.12))
    # Each could be a 1 at most, and hardly that: enough to be read by the model.
    marks = np.zeros_like(dash.judgement)
    marks[:, 1], marks[:, MARK] = 0.01, 0.99
    line = dash._replace(judgement=marks)
    assert choose(line, answers) == []
    assert agree(line, answers) == []


def test_a_line_is_divided_into_the_digits_of_a_text_and_no_others() -> None:
    line, answers = two_or_one(scan_of(BLANK))
    scores = stretch_scores(line, answers)
    assert divide(line, scores, "34").places == [0, 1]
    assert divide(line, scores, "8").places == [2]
    assert divide(line, scores, "34").score < divide(line, scores, "8").score
    impossible = divide(line, scores, "348")
    assert impossible.places == []
    assert impossible.score == -np.inf
