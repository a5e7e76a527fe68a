"""The occlusion map: every part of the ink is covered once, and the falls become a map over the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import server
from server.datasets import Data, Dataset
from server.explanation.occlusion import PATCH, PLACES, STARTS, covered, spread
from server.inference import Engine

SHIPPED = Path(server.__file__).parent / "shipped"
Image = npt.NDArray[np.uint8]


def squares() -> list[Image]:
    """What is covered at each place, row by row: 28x28, 1 where it is."""
    masks = []
    for top in STARTS:
        for left in STARTS:
            mask = np.zeros((28, 28), np.uint8)
            mask[max(0, top) : top + PATCH, max(0, left) : left + PATCH] = 1
            masks.append(mask)
    return masks


@pytest.fixture(scope="module")
def nine(builtin_data: Data) -> Image:
    digits = builtin_data.dataset(Dataset.BUILTIN_TEST)
    return np.array(digits.images[np.flatnonzero(digits.labels == 9)[0]])


def test_each_copy_lacks_exactly_one_square_of_the_ink(nine: Image) -> None:
    copies, has_ink = covered(nine)
    expected = [nine * (1 - mask) for mask in squares() if (nine * mask).any()]
    np.testing.assert_array_equal(copies, expected)
    assert has_ink.sum() == len(copies)


def test_every_pixel_is_covered_and_no_side_is_favoured() -> None:
    counts = np.sum(squares(), axis=0)
    assert counts.min() >= 4
    np.testing.assert_array_equal(counts, counts[::-1, ::-1])
    np.testing.assert_array_equal(counts, counts.T)


def test_a_full_image_is_covered_everywhere_and_fits_the_engines_queue() -> None:
    copies, has_ink = covered(np.full((28, 28), 255, np.uint8))
    assert has_ink.all()
    assert len(copies) == PLACES**2 <= 256


def test_an_image_without_ink_has_nothing_to_cover() -> None:
    copies, has_ink = covered(np.zeros((28, 28), np.uint8))
    assert copies.shape == (0, 28, 28)
    assert not has_ink.any()


def test_the_map_keeps_the_range_of_the_falls() -> None:
    falls = np.random.default_rng(1).uniform(-1, 1, (PLACES, PLACES)).astype(np.float32)
    assert np.abs(spread(falls)).max() <= np.abs(falls).max()
    np.testing.assert_allclose(spread(np.full_like(falls, 0.25)), 0.25, atol=1e-6)


def test_a_single_fall_is_seen_around_its_square_and_fades() -> None:
    falls = np.zeros((PLACES, PLACES), np.float32)
    falls[5, 8] = 1.0
    shown = spread(falls)
    top, left = STARTS[5], STARTS[8]
    outside = shown.copy()
    outside[top : top + PATCH, left : left + PATCH] = 0
    assert not outside.any()
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert abs(row - (top + 2.5)) < 1
    assert abs(column - (left + 2.5)) < 1
    # Two pixels in the middle, and from there it only falls.
    profile = shown[row, left : left + PATCH]
    np.testing.assert_allclose(profile, profile[::-1], atol=1e-6)
    assert (np.diff(profile[PATCH // 2 :]) < 0).all()


def test_a_nine_without_its_loop_is_no_nine(nine: Image) -> None:
    engine = Engine(SHIPPED / "model.onnx")
    copies, has_ink = covered(nine)
    falls = np.zeros(has_ink.shape, np.float32)
    falls[has_ink] = engine.probabilities(nine[np.newaxis])[0, 9] - engine.probabilities(copies)[:, 9]
    shown = spread(falls)
    loop = np.zeros((28, 28), bool)
    loop[4:15] = True
    # The loop carries the digit; the paper around the ink carries nothing.
    assert shown[loop].max() > 0.2
    assert shown[loop].sum() > shown[~loop].sum()
    assert not shown[:, :1].any()
