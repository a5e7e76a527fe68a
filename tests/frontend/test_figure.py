"""The classic figure of sixteen mistakes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from digits.client.records import MisclassifiedDigit
from PIL import Image

from frontend.figure import figure_png, mistakes_figure, title


def mistake(index: int) -> MisclassifiedDigit:
    """A digit that is labelled index % 10 and read as the next one."""
    true, read = index % 10, (index + 1) % 10
    probabilities = tuple(0.9 if digit == read else 0.1 if digit == true else 0.0 for digit in range(10))
    pixels = np.full((28, 28), index, np.uint8)
    return MisclassifiedDigit(index, pixels, true, read, 0.9, probabilities, 2.3)


def test_a_title_is_letter_by_letter_the_scripts() -> None:
    assert title(mistake(4)) == "Label : 4 | Predict : 5"


def test_sixteen_mistakes_fill_four_rows_of_four_in_their_order() -> None:
    digits = [mistake(index) for index in range(20)]

    axes = mistakes_figure(digits).axes

    assert [each.get_title() for each in axes] == [title(digit) for digit in digits[:16]]
    assert axes[0].get_subplotspec().get_gridspec().get_geometry() == (4, 4)
    np.testing.assert_array_equal(axes[5].images[0].get_array(), digits[5].pixels)


def test_fewer_mistakes_leave_the_rest_of_the_sheet_empty() -> None:
    axes = mistakes_figure([mistake(1), mistake(2), mistake(3)]).axes

    assert [len(each.images) for each in axes] == [1] * 3 + [0] * 13


def test_without_a_mistake_the_sheet_says_so() -> None:
    figure = mistakes_figure([])

    assert not figure.axes
    assert [text.get_text() for text in figure.texts] == ["No mistakes"]


@pytest.mark.parametrize("dpi", [72, 150, 600])
def test_a_png_has_the_chosen_resolution(dpi: int) -> None:
    image = Image.open(io.BytesIO(figure_png([mistake(1)], dpi)))

    assert image.format == "PNG"
    assert image.size == (8 * dpi, 8.5 * dpi)
    assert image.info["dpi"] == pytest.approx((dpi, dpi), abs=0.1)


@pytest.mark.parametrize("dpi", [71, 601])
def test_another_resolution_is_refused(dpi: int) -> None:
    with pytest.raises(ValueError, match=f"expected 72 to 600, got {dpi}"):
        figure_png([], dpi)
