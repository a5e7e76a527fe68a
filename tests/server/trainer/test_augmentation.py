"""What augmentation may do to a digit, and what it may not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from server.augmentation import RESTYLED_SHARE, augment
from server.augmentation.styles import bar_seven, open_four, serif_or_foot, slash_zero
from server.datasets import Data, Digits


@pytest.fixture(scope="module")
def digits(builtin_data: Data) -> Digits:
    train = builtin_data.split(use_all=False).train
    return train[np.arange(0, len(train), 7)]


def ink(images: np.ndarray) -> np.ndarray:
    """The mean brightness of each image: (N,) float64."""
    return images.reshape(len(images), -1).mean(axis=1)


def ring() -> np.ndarray:
    """A round 0 of 20 pixels."""
    image = np.zeros((28, 28), np.uint8)
    return cv2.circle(image, (14, 14), 8, 255, 2, cv2.LINE_AA)


def test_varied_digits_keep_shape_dtype_brightness_and_label(digits: Digits) -> None:
    varied = augment(digits, np.random.default_rng(1))
    assert varied.images.shape == digits.images.shape
    assert varied.images.dtype == np.uint8
    assert (varied.images.reshape(len(varied), -1).max(axis=1) >= 250).all()
    assert np.array_equal(varied.labels, digits.labels)


def test_the_originals_are_left_as_they_are(digits: Digits) -> None:
    before = digits.images.copy()
    augment(digits, np.random.default_rng(1))
    assert np.array_equal(digits.images, before)


def test_the_same_seed_gives_the_same_digits_and_another_seed_others(digits: Digits) -> None:
    first, again, other = (augment(digits, np.random.default_rng(seed)).images for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    changed = (first != other).reshape(len(first), -1).any(axis=1)
    assert changed.mean() > 0.99


def test_some_digits_come_out_thinner_and_some_thicker(digits: Digits) -> None:
    ratio = ink(augment(digits, np.random.default_rng(1)).images) / ink(digits.images)
    assert (ratio < 0.75).mean() > 0.1
    assert (ratio > 1.25).mean() > 0.1
    assert np.median(ratio) == pytest.approx(0.95, abs=0.15)


def test_digits_stay_within_their_image(digits: Digits) -> None:
    varied = augment(digits, np.random.default_rng(1)).images
    border = np.ones((28, 28), bool)
    border[1:-1, 1:-1] = False
    # A few long strokes may touch the edge; a digit that is cut off shows in the mean.
    assert varied[:, border].mean() < 2.0


def test_a_blank_image_stays_blank() -> None:
    blank = Digits(np.zeros((400, 28, 28), np.uint8), np.repeat(np.arange(10, dtype=np.uint8), 40))
    assert not augment(blank, np.random.default_rng(1)).images.any()


def test_of_no_digits_nothing_is_made() -> None:
    none = Digits(np.empty((0, 28, 28), np.uint8), np.empty(0, np.uint8))
    assert len(augment(none, np.random.default_rng(1))) == 0


def test_a_share_of_the_digits_with_another_way_is_written_that_way() -> None:
    # A small ring has no ink in its middle, however it is turned and shifted; a slash does.
    rings = Digits(np.stack([ring()] * 1000), np.zeros(1000, np.uint8))
    threes = Digits(rings.images, np.full(1000, 3, np.uint8))
    shares = [
        (augment(one, np.random.default_rng(1)).images[:, 13:15, 13:15].max(axis=(1, 2)) > 128).mean()
        for one in (rings, threes)
    ]
    # Some slashes lie beside the pixels that are looked at.
    assert RESTYLED_SHARE / 2 < shares[0] < RESTYLED_SHARE + 0.03
    assert shares[1] == 0


def test_a_slashed_zero_has_a_slash() -> None:
    for seed in range(20):
        image = ring()
        slash_zero(image, np.random.default_rng(seed))
        assert image[13:16, 13:16].max() >= 150
        # From below on the left to above on the right.
        changed = np.argwhere((image > ring() + 60) & (ring() < 60))
        lower, upper = changed[changed[:, 0].argmax()], changed[changed[:, 0].argmin()]
        assert upper[1] > lower[1]


def test_a_one_gets_a_serif_or_a_foot() -> None:
    widths = []
    for seed in range(30):
        image = np.zeros((28, 28), np.uint8)
        image[4:24, 13:15] = 255
        serif_or_foot(image, np.random.default_rng(seed))
        added = image.copy()
        added[:, 12:16] = 0
        top, bottom = added[:18].any(), added[19:].any()
        assert top or bottom
        widths.append((bool(top), bool(bottom)))
    assert set(widths) == {(True, False), (False, True), (True, True)}


def test_a_seven_gets_a_bar_through_its_stem() -> None:
    for seed in range(20):
        image = np.zeros((28, 28), np.uint8)
        image[4:6, 8:20] = 255
        cv2.line(image, (19, 5), (12, 23), 255, 2)
        before = image.copy()
        bar_seven(image, np.random.default_rng(seed))
        rows, columns = np.nonzero((image > 100) & (before == 0))
        assert (rows > 8).all()
        assert (rows < 20).all()
        assert columns.min() < 14 < columns.max()


def test_a_closed_four_is_cut_open() -> None:
    image = np.zeros((28, 28), np.uint8)
    cv2.polylines(image, [np.array([[16, 23], [16, 4], [7, 16], [21, 16]])], False, 255, 2)
    assert holes(image) == 1
    open_four(image, np.random.default_rng(1))
    assert holes(image) == 0
    before = image.copy()
    open_four(image, np.random.default_rng(1))
    assert np.array_equal(image, before)


def holes(image: np.ndarray) -> int:
    """How many holes the ink has."""
    _, tree = cv2.findContours((image >= 96).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return int((tree[0][:, 3] >= 0).sum())
