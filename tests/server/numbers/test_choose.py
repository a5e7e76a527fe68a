"""The choice among candidates, with the model's and the judge's answers given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from server.numbers import Line, choose
from server.numbers.candidates import Candidates
from server.numbers.judge import CLASSES, MARK, NEITHER

Guess = tuple[int, float]
"""A class of the judge, and its probability."""


def line(
    cuts: int, stretches: dict[tuple[int, int], Guess], ink_before: Sequence[float] | None = None
) -> Line:
    """A line whose stretches, by their cuts, are what the judge says; the rest is `neither`."""
    judgement = np.zeros((len(stretches), CLASSES), np.float32)
    for row, (answer, share) in enumerate(stretches.values()):
        judgement[row, NEITHER] = 1 - share
        judgement[row, answer] += share
    places = np.array(list(stretches), np.int32)
    readable = np.flatnonzero(judgement[:, :MARK].sum(axis=1) > 0.002)
    boxes = np.zeros((len(places), 4), np.int32)
    candidates = Candidates(places[:, 0], places[:, 1], boxes)
    images = np.zeros((len(readable), 28, 28), np.uint8)
    before = np.array(ink_before if ink_before is not None else np.arange(cuts) * 0.3)
    return Line(candidates, cuts, before, judgement, readable, images, boxes, np.zeros((0, 11), np.float32))


def reads(*answers: Guess) -> np.ndarray:
    """The model's probabilities for the readable stretches, in order."""
    probabilities = np.full((len(answers), 10), 1e-3, np.float32)
    for row, (digit, share) in enumerate(answers):
        probabilities[row, digit] = share
    return probabilities


def test_two_pieces_of_a_digit_are_joined() -> None:
    broken = line(3, {(0, 1): (5, 0.05), (1, 2): (1, 0.1), (0, 2): (5, 0.98)})
    # The model itself would be sure of a lone piece.
    assert choose(broken, reads((5, 0.9), (1, 0.999), (5, 0.99))) == [2]


def test_two_digits_that_touch_are_parted() -> None:
    touching = line(3, {(0, 1): (3, 0.9), (1, 2): (4, 0.9), (0, 2): (8, 0.05)})
    assert choose(touching, reads((3, 0.95), (4, 0.95), (8, 0.999))) == [0, 1]


def test_marks_are_passed_over() -> None:
    dotted = line(4, {(0, 1): (3, 0.99), (1, 2): (MARK, 0.99), (2, 3): (4, 0.99)})
    assert choose(dotted, reads((3, 0.99), (4, 0.99))) == [0, 1]


def test_a_stretch_without_ink_costs_nothing() -> None:
    apart = line(4, {(0, 1): (3, 0.99), (2, 3): (4, 0.99)})
    assert choose(apart, reads((3, 0.99), (4, 0.99))) == [0, 1]


def test_where_there_are_only_marks_nothing_is_chosen() -> None:
    dash = line(2, {(0, 1): (MARK, 0.99)})
    assert choose(dash, reads()) == []


def test_two_digits_may_share_the_stroke_in_which_they_touch() -> None:
    stretches = {(0, 2): (3, 0.95), (1, 3): (6, 0.95), (0, 1): (3, 0.1), (2, 3): (6, 0.1)}
    shared = line(4, stretches, ink_before=[0, 0.3, 0.32, 0.6])
    assert choose(shared, reads((3, 0.9), (6, 0.9), (3, 0.9), (6, 0.9))) == [0, 1]


def test_between_two_divisions_the_one_that_judge_and_model_agree_on_wins() -> None:
    unsure = line(4, {(0, 1): (1, 0.6), (1, 3): (7, 0.6), (0, 2): (4, 0.6), (2, 3): (1, 0.6)})
    assert choose(unsure, reads((7, 0.9), (2, 0.9), (4, 0.9), (1, 0.9))) == [2, 3]
