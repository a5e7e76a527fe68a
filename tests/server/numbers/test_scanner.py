"""What the scanner is shown of a line."""

from __future__ import annotations

import cv2
import numpy as np

from server.numbers.scanner import MOST_COLUMNS, SIDE, STRIDE, Scanner, strip, views


def line_of_ones(count: int) -> np.ndarray:
    """Upright strokes, 40 pixels tall: (60, W) uint8."""
    ink = np.zeros((60, 40 * count + 20), np.uint8)
    for index in range(count):
        x = 30 + 40 * index
        cv2.line(ink, (x, 10), (x, 50), 255, 4, cv2.LINE_AA)
    return ink


def test_a_line_is_seen_as_it_is_then_moved_and_leaning() -> None:
    seen = strip(line_of_ones(2), 40, 30)
    itself, higher, lower, one_way, other_way = views(seen)
    assert np.array_equal(itself, seen)
    assert np.array_equal(higher[:-1], seen[1:])
    assert np.array_equal(lower[1:], seen[:-1])

    def lean(view: np.ndarray) -> float:
        """How far the ink of the upper half is left of that of the lower one, in columns."""
        upper, lower = (half.sum(axis=0, dtype=float) for half in (view[: SIDE // 2], view[SIDE // 2 :]))
        columns = np.arange(view.shape[1])
        return float((lower @ columns) / lower.sum() - (upper @ columns) / upper.sum())

    assert abs(lean(itself)) < 0.1
    assert lean(one_way) > 0.5 > -0.5 > lean(other_way)


def test_a_long_line_is_seen_once() -> None:
    assert len(views(np.zeros((SIDE, MOST_COLUMNS), np.uint8))) == 5
    assert len(views(np.zeros((SIDE, MOST_COLUMNS + STRIDE), np.uint8))) == 1


def test_all_views_of_a_line_are_scanned_and_each_column_adds_up() -> None:
    seen = strip(line_of_ones(2), 40, 30)
    scans = Scanner().scan(views(seen))
    assert scans.shape == (5, seen.shape[1] // STRIDE, 11)
    np.testing.assert_allclose(np.exp(scans).sum(axis=-1), 1, atol=1e-4)
    (alone,) = Scanner().scan(seen[None])
    np.testing.assert_allclose(scans[0], alone, atol=1e-4)
