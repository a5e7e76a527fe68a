"""Strokes as ink: the size of the drawing, the pen, the place on the canvas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from server.datasets.pen_strokes import PenDigit
from server.strokes import CANVAS_PX, draw, draw_anywhere, draw_centred

# An L: one unit down, half a unit to the right.
CORNER = PenDigit(1, (np.array([[0, 0], [0, 1], [0.5, 1]], np.float32),), writer=1)
# As wide as anybody writes.
DASH = PenDigit(1, (np.array([[0, 0.2], [1, 0.3]], np.float32),), writer=1)


@pytest.mark.parametrize("pen_px", [1, 2, 7, 20])
@pytest.mark.parametrize("height_px", [30, 200])
def test_ink_is_as_long_as_the_pens_way_and_as_thick_as_the_pen(height_px: int, pen_px: int) -> None:
    ink = draw(CORNER.strokes, height_px, pen_px)
    assert ink.dtype == np.uint8
    assert ink.max() == 255
    assert ink.shape[0] == pytest.approx(height_px + pen_px, abs=3)
    assert ink.shape[1] == pytest.approx(height_px / 2 + pen_px, abs=3)
    across = ink[ink.shape[0] // 2].sum() / 255
    assert across == pytest.approx(pen_px, abs=1.2)


def test_the_crop_is_tight() -> None:
    ink = draw(CORNER.strokes, 100, 9)
    for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
        assert edge.any()


def test_the_pen_is_round_and_its_edge_soft() -> None:
    ink = draw((np.array([[0.5, 0.5]], np.float32),), 100, 21)
    assert ink.shape == pytest.approx((21, 21), abs=3)
    assert ink.sum() / 255 == pytest.approx(np.pi * 10.5**2, rel=0.1)
    assert ((ink > 0) & (ink < 255)).any()


def test_without_anti_aliasing_every_pixel_is_ink_or_paper() -> None:
    ink = draw(DASH.strokes, 40, 1, is_smooth=False)
    assert set(np.unique(ink)) == {0, 255}


def test_the_same_strokes_anywhere_in_the_plane_are_the_same_drawing() -> None:
    moved = tuple(stroke * 3 + [-7, 40] for stroke in CORNER.strokes)
    difference = draw(CORNER.strokes, 80, 8).astype(int) - draw(moved, 80, 8)
    assert np.abs(difference).max() <= 32  # sixteenths of a pixel


@pytest.mark.parametrize("digit", [CORNER, DASH])
def test_a_centred_drawing_is_in_the_middle_of_the_canvas(digit: PenDigit) -> None:
    canvas = draw_centred(digit)
    assert canvas.shape == (CANVAS_PX, CANVAS_PX)
    left, top, width, height = cv2.boundingRect(canvas)
    assert max(width, height) == pytest.approx(220, abs=3)
    assert left + width / 2 == pytest.approx(CANVAS_PX / 2, abs=1)
    assert top + height / 2 == pytest.approx(CANVAS_PX / 2, abs=1)


@pytest.mark.parametrize("digit", [CORNER, DASH])
def test_a_drawing_anywhere_keeps_its_limits_and_none_of_it_is_cut_off(digit: PenDigit) -> None:
    generator = np.random.default_rng(1)
    canvases = [draw_anywhere(digit, generator) for _ in range(300)]
    boxes = np.array([cv2.boundingRect(canvas) for canvas in canvases])
    left, top, width, height = boxes.T
    longer = np.maximum(width, height)
    assert longer.min() >= 60 + 8 - 2
    assert longer.max() <= 200 + 28 + 3
    # The pen's way is as long in every drawing: what changes the ink's share of it is the pen.
    whole = [draw(digit.strokes, side, 8).any(axis=0).sum() / side for side in (60, 200)]
    assert (width >= min(whole) * 60 - 2).all()
    # Everywhere on the canvas, up to its edges.
    assert left.min() < 20
    assert (left + width).max() > CANVAS_PX - 20
    assert top.min() < 20
    assert (top + height).max() > CANVAS_PX - 20
    assert longer.std() > 25


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (draw_anywhere(CORNER, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
