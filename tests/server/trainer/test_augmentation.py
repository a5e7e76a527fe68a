"""What augmentation may do to a digit, and what it may not."""

from __future__ import annotations

import numpy as np
import pytest

from server.augmentation import augment
from server.datasets import Data, Digits


@pytest.fixture(scope="module")
def digits(builtin_data: Data) -> Digits:
    return builtin_data.split(use_all=False).train[:500]


def ink(images: np.ndarray) -> np.ndarray:
    """The mean brightness of each image: (N,) float64."""
    return images.reshape(len(images), -1).mean(axis=1)


def test_varied_digits_keep_shape_dtype_and_brightness(digits: Digits) -> None:
    varied = augment(digits.images, np.random.default_rng(1))
    assert varied.shape == digits.images.shape
    assert varied.dtype == np.uint8
    assert (varied.reshape(len(varied), -1).max(axis=1) >= 250).all()


def test_the_originals_are_left_as_they_are(digits: Digits) -> None:
    before = digits.images.copy()
    augment(digits.images, np.random.default_rng(1))
    assert np.array_equal(digits.images, before)


def test_the_same_seed_gives_the_same_digits_and_another_seed_others(digits: Digits) -> None:
    first, again, other = (augment(digits.images, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    changed = (first != other).reshape(len(first), -1).any(axis=1)
    assert changed.mean() > 0.99


def test_some_digits_come_out_thinner_and_some_thicker(digits: Digits) -> None:
    ratio = ink(augment(digits.images, np.random.default_rng(1))) / ink(digits.images)
    assert (ratio < 0.75).mean() > 0.1
    assert (ratio > 1.25).mean() > 0.1
    assert np.median(ratio) == pytest.approx(0.95, abs=0.15)


def test_digits_stay_within_their_image(digits: Digits) -> None:
    varied = augment(digits.images, np.random.default_rng(1))
    border = np.ones((28, 28), bool)
    border[1:-1, 1:-1] = False
    # A few long strokes may touch the edge; a digit that is cut off shows in the mean.
    assert varied[:, border].mean() < 2.0


def test_a_blank_image_stays_blank() -> None:
    blank = np.zeros((3, 28, 28), np.uint8)
    assert not augment(blank, np.random.default_rng(1)).any()
