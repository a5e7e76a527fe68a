"""Pen strokes as training pictures: other hands, pens and canvases, and other ways to write a digit."""

from __future__ import annotations

import numpy as np
import pytest

from server.datasets.pen_strokes import PenDigit
from server.strokes import draw
from server.trainer.bank import pen_bank, restyled

AROUND = np.linspace(0, 2 * np.pi, 40)


def digit(label: int, *strokes: object) -> PenDigit:
    return PenDigit(label, tuple(np.array(stroke, np.float32) for stroke in strokes), writer=1)


ZERO = digit(0, np.stack([0.35 + 0.35 * np.sin(AROUND), 0.5 - 0.5 * np.cos(AROUND)], axis=1))
ONE = digit(1, [[0.1, 0], [0.05, 0.5], [0, 1]])
FOUR = digit(4, [[0.3, 0], [0.0, 0.6], [0.6, 0.6]], [[0.5, 0.1], [0.45, 1]])
SEVEN = digit(7, [[0, 0], [0.6, 0], [0.4, 0.5], [0.2, 1]])
BARRED_SEVEN = digit(7, [[0, 0], [0.6, 0], [0.4, 0.5], [0.2, 1]], [[0.2, 0.5], [0.6, 0.5]])
DIGITS = [ZERO, ONE, FOUR, SEVEN]


def another_way(digit: PenDigit, seed: int = 1) -> list[np.ndarray]:
    return restyled(digit.label, list(digit.strokes), np.random.default_rng(seed))


def test_every_digit_is_drawn_as_often_as_asked_and_normalised() -> None:
    bank = pen_bank(DIGITS, 5, np.random.default_rng(1))
    assert bank.images.shape == (20, 28, 28)
    assert bank.images.dtype == np.uint8
    assert bank.labels.tolist() == [0, 1, 4, 7] * 5
    for image in bank.images:
        rows, columns = np.nonzero(image)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        assert image.max() == 255


def test_no_two_drawings_are_the_same_but_a_seed_repeats_them() -> None:
    bank = pen_bank(DIGITS, 10, np.random.default_rng(1))
    assert len({image.tobytes() for image in bank.images}) == len(bank)
    again = pen_bank(DIGITS, 10, np.random.default_rng(1))
    assert np.array_equal(bank.images, again.images)


def test_pens_are_thin_and_thick_and_lines_soft_and_hard() -> None:
    images = pen_bank([SEVEN], 300, np.random.default_rng(1)).images
    ink = images.mean(axis=(1, 2))
    assert np.quantile(ink, 0.9) > 2.5 * np.quantile(ink, 0.1)
    grey = ((images > 0) & (images < 255)).sum(axis=(1, 2)) / (images > 0).sum(axis=(1, 2))
    assert np.ptp(grey) > 0.4


def test_no_digits_make_an_empty_bank() -> None:
    assert pen_bank([], 3, np.random.default_rng(1)).images.shape == (0, 28, 28)


def test_a_slashed_zero_has_a_stroke_from_below_left_to_above_right() -> None:
    *ring, slash = another_way(ZERO)
    assert np.array_equal(ring[0], ZERO.strokes[0])
    (x_start, y_start), (x_end, y_end) = slash
    assert x_start < 0.35 < x_end
    assert y_end < 0.5 < y_start
    ink = draw([*ring, slash], 100, 6)
    height, width = ink.shape
    assert ink[height // 2 - 5 : height // 2 + 5, width // 2 - 8 : width // 2 + 8].any()


def test_a_one_gets_a_serif_at_its_head_a_foot_at_its_heel_or_both() -> None:
    kinds = set()
    for seed in range(30):
        stem, *added = another_way(ONE, seed)
        assert np.array_equal(stem, ONE.strokes[0])
        for stroke in added:
            is_foot = bool(np.abs(stroke[:, 1] - 1).max() < 0.1)
            assert is_foot or stroke[0] == pytest.approx([0.1, 0])
        kinds.add(len(added))
    assert kinds == {1, 2}


def test_a_four_is_closed_at_the_top_of_its_stem() -> None:
    arm, stem = another_way(FOUR)
    assert np.array_equal(stem, FOUR.strokes[1])
    assert arm[0].tolist() == stem[0].tolist()
    assert arm[1].tolist() == pytest.approx([0.0, 0.6])


def test_a_seven_gets_a_bar_or_loses_the_one_it_has() -> None:
    stem, bar = another_way(SEVEN)
    assert np.array_equal(stem, SEVEN.strokes[0])
    assert bar[0, 0] < 0.4 < bar[1, 0]
    assert (np.abs(bar[:, 1] - 0.5) < 0.2).all()
    (without,) = another_way(BARRED_SEVEN)
    assert np.array_equal(without, BARRED_SEVEN.strokes[0])


def test_a_digit_with_one_way_only_keeps_it() -> None:
    three = digit(3, [[0, 0], [1, 0.2], [0.2, 0.5], [1, 0.8], [0, 1]])
    assert np.array_equal(another_way(three)[0], three.strokes[0])
