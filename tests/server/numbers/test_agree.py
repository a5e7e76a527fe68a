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
    line = Line(candidates, 3, np.array([0.0, 0.3, 0.6]), judgement, readable, images, boxes, scan[None])
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


def test_the_scans_second_text_is_taken_where_the_stretches_are_surer_of_it() -> None:
    # 5 and 4 a little before 3 and 4; no stretch looks like a 5.
    scan = scan_of(BLANK, 5, BLANK, 4, BLANK)
    scan[1, [5, 3]] = np.log([0.55, 0.42])
    line, answers = two_or_one(scan)
    found = agree(line, answers)
    assert [int(digit.probabilities.argmax()) for digit in found] == [3, 4]


def test_a_scan_that_slips_is_outvoted_by_those_of_the_same_line_seen_otherwise() -> None:
    slipped, right = scan_of(BLANK, 5, BLANK, 4, BLANK, share=0.9), scan_of(BLANK, 3, BLANK, 4, BLANK)
    line, answers = two_or_one(slipped)
    seen_again = line._replace(scans=np.stack([slipped, right, right]))
    assert [int(digit.probabilities.argmax()) for digit in agree(seen_again, answers)] == [3, 4]


def test_of_two_texts_that_are_about_as_likely_the_one_with_more_digits_is_taken() -> None:
    scan = scan_of(BLANK, 3, BLANK, 4, BLANK)
    scan[3, [4, BLANK]] = np.log([0.4, 0.55])
    line, answers = two_or_one(scan)
    assert [int(digit.probabilities.argmax()) for digit in agree(line, answers)] == [3, 4]


def test_where_the_cuts_digits_stand_apart_a_scan_has_to_be_much_surer() -> None:
    scan = scan_of(BLANK, 3, BLANK, 9, BLANK)
    scan[3, [9, 4]] = np.log([0.93, 0.04])
    line, answers = two_or_one(scan)
    line.judgement[:] = 0.001
    line.judgement[[0, 1], [3, 4]] = 0.9
    line.judgement[1, 9] = 0.05
    line.boxes[:2] = [[0, 0, 20, 30], [19, 0, 20, 30]]
    assert [int(digit.probabilities.argmax()) for digit in agree(line, answers)] == [3, 9]
    line.boxes[1] = [23, 0, 20, 30]
    assert [int(digit.probabilities.argmax()) for digit in agree(line, answers)] == [3, 4]


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
    two, one, impossible = divide(line, stretch_scores(line, answers), ["34", "8", "348"])
    assert two.places == [0, 1]
    assert one.places == [2]
    assert two.score < one.score
    assert impossible.places == []
    assert impossible.score == -np.inf
