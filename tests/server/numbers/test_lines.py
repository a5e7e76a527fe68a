"""Which pieces of ink stand in one line, and which pieces there are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from server.errors import InvalidImage
from server.numbers.lines import find_lines
from server.numbers.pieces import Pieces, find_pieces


def boxes(*places: tuple[int, int, int, int]) -> Pieces:
    """Pieces with these boxes, a third of each being ink."""
    table = np.array(places, np.int32).reshape(-1, 4)
    return Pieces(np.zeros((1, 1), np.int32), table, table[:, 2] * table[:, 3] // 3)


def test_no_ink_is_no_line() -> None:
    assert find_lines(boxes()) == []


def test_lines_come_from_the_top_whatever_order_their_pieces_have() -> None:
    lower = [(10, 100, 30, 50), (60, 104, 30, 46)]
    upper = [(60, 10, 30, 50), (110, 14, 28, 48)]
    assert [line.tolist() for line in find_lines(boxes(*lower, *upper))] == [[2, 3], [0, 1]]


def test_a_line_may_climb_by_more_than_its_height() -> None:
    climbing = [(40 * index, 200 - 12 * index, 30, 40) for index in range(10)]
    below = [(40 * index, 290 - 12 * index, 30, 40) for index in range(10)]
    lines = find_lines(boxes(*climbing, *below))
    assert [line.tolist() for line in lines] == [list(range(10)), list(range(10, 20))]


def test_dots_and_the_hat_of_a_five_join_the_line_they_are_near() -> None:
    pieces = [(0, 20, 30, 50), (40, 24, 30, 46), (40, 10, 34, 8), (75, 62, 8, 8), (0, 120, 30, 50)]
    assert [line.tolist() for line in find_lines(boxes(*pieces))] == [[0, 1, 2, 3], [4]]


def test_a_long_comma_below_a_line_belongs_to_it() -> None:
    pieces = [(0, 20, 30, 50), (40, 24, 30, 46), (72, 60, 8, 24), (90, 20, 30, 50)]
    assert [line.tolist() for line in find_lines(boxes(*pieces))] == [[0, 1, 2, 3]]


def test_the_two_halves_of_a_broken_digit_are_one_line() -> None:
    assert [line.tolist() for line in find_lines(boxes((10, 10, 30, 28), (10, 40, 30, 30)))] == [[0, 1]]


def test_a_dash_alone_is_no_line() -> None:
    ink = np.zeros((100, 300), np.uint8)
    cv2.line(ink, (60, 50), (240, 56), 255, 6)
    pieces = find_pieces(ink)
    assert len(pieces.boxes) == 1
    assert find_lines(pieces) == []


def test_digits_that_all_touch_are_no_dash() -> None:
    ink = np.zeros((120, 400), np.uint8)
    for place, digit in enumerate("8386398"):
        cv2.putText(ink, digit, (30 + 30 * place, 90), cv2.FONT_HERSHEY_SIMPLEX, 2.4, 255, 12)
    pieces = find_pieces(ink)
    ((_, _, width, height),), (area,) = pieces.boxes, pieces.areas
    assert width > 3 * height
    assert area > 0.55 * width * height
    assert [line.tolist() for line in find_lines(pieces)] == [[0]]


def written(*marks: tuple[str, int, int]) -> np.ndarray:
    ink = np.zeros((200, 500), np.uint8)
    for text, x, y in marks:
        cv2.putText(ink, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 3, 255, 8, cv2.LINE_AA)
    return ink


def test_specks_are_no_pieces_and_dots_are() -> None:
    ink = written(("25", 60, 150))
    cv2.circle(ink, (20, 20), 1, 255, -1)
    cv2.circle(ink, (300, 145), 7, 255, -1)
    assert len(find_pieces(ink).boxes) == 3


def test_a_ruled_line_under_digits_goes_and_leaves_them_whole() -> None:
    digits = written(("2725", 60, 150))
    ruled = digits.copy()
    cv2.line(ruled, (0, 152), (499, 155), 255, 2)
    without, with_rule = find_pieces(digits), find_pieces(ruled)
    assert len(with_rule.boxes) == len(without.boxes) == 4
    kept = ((with_rule.labels > 0) & (digits > 128)).sum() / (digits > 128).sum()
    assert kept > 0.93


def test_a_stroke_that_crosses_a_ruled_line_stays_in_one_piece() -> None:
    ruled = written(("17", 60, 150))
    cv2.line(ruled, (0, 110), (499, 110), 255, 2)
    assert len(find_pieces(ruled).boxes) == 2


def test_far_too_many_pieces_are_refused() -> None:
    ink = np.zeros((800, 800), np.uint8)
    ink[::16, ::16] = ink[1::16, ::16] = 255
    with pytest.raises(InvalidImage, match="pieces of ink"):
        find_pieces(ink)
