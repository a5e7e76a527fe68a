"""The three ways from ink to the picture that a model reads."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from server.errors import BlankImage, InvalidImage
from server.preprocessing import Interpolation, Preprocessing, normalise, plain_resize, to_model_input

Picture = NDArray[np.uint8]
Draw = Callable[..., Picture]


def test_normalisation_is_the_default(draw: Draw) -> None:
    np.testing.assert_array_equal(to_model_input(draw()), normalise(draw()))


def test_the_plain_resize_is_that_of_the_classic_script(draw: Draw) -> None:
    resized = to_model_input(draw(), Preprocessing.RESIZE)
    np.testing.assert_array_equal(resized, cv2.resize(draw(), (28, 28), interpolation=cv2.INTER_LINEAR))


def test_the_plain_resize_leaves_a_digit_where_it_was_drawn(draw: Draw) -> None:
    corner = plain_resize(draw(height=60, left=0, top=0), Interpolation.AREA)
    assert not corner[10:].any()


@pytest.mark.parametrize("interpolation", Interpolation)
def test_every_interpolation_gives_a_picture_of_its_own(draw: Draw, interpolation: Interpolation) -> None:
    resized = to_model_input(draw(pen=8), Preprocessing.RESIZE, interpolation)
    assert resized.shape == (28, 28)
    assert resized.dtype == np.uint8
    others = [plain_resize(draw(pen=8), other) for other in Interpolation if other is not interpolation]
    assert not any(np.array_equal(resized, other) for other in others)


def test_a_picture_that_is_not_square_is_stretched() -> None:
    ink = np.zeros((100, 300), np.uint8)
    ink[:, 100:200] = 255
    resized = plain_resize(ink, Interpolation.NEAREST)
    assert resized.any(axis=1).all()
    assert 9 <= resized.any(axis=0).sum() <= 10


@pytest.mark.parametrize("preprocessing", Preprocessing)
def test_no_ink_is_refused_by_each_of_them(preprocessing: Preprocessing) -> None:
    with pytest.raises(BlankImage, match="without ink"):
        to_model_input(np.zeros((28, 28), np.uint8), preprocessing)


def test_ink_that_the_plain_resize_loses_is_refused_as_lost() -> None:
    ink = np.zeros((280, 280), np.uint8)
    ink[7, 7] = 255
    with pytest.raises(BlankImage, match="nearest resize to 28×28 leaves nothing"):
        plain_resize(ink, Interpolation.NEAREST)


def test_without_preprocessing_the_pixels_are_the_model_input(digits: Picture) -> None:
    np.testing.assert_array_equal(to_model_input(digits[0], Preprocessing.NONE), digits[0])


def test_without_preprocessing_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(InvalidImage, match="expected 28×28 pixels where nothing is resized, got 30×20"):
        to_model_input(np.ones((20, 30), np.uint8), Preprocessing.NONE)
