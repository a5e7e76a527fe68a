"""A photograph of ink on paper gives that ink and nothing else, whatever the light, the paper, the table."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import server
from server.datasets.builtin import read_builtin
from server.errors import BlankImage
from server.inference import Engine
from server.preprocessing import decode_image, normalise

from .photographs import BLUE, CONDITIONS, GREY, photograph, place, strokes

Picture = NDArray[np.uint8]

SHAPE = (270, 360)
# Hard together: pencil across the edge of a shadow, and a table as light as paper in a shadow.
HARD = {"pencil, hard shadow": 0.7, "table, shadow, ruled, dust": 0.4}


@pytest.fixture(scope="module")
def labelled() -> tuple[Picture, Picture]:
    """The built-in digits, mixed: (N, 28, 28) and (N,)."""
    digits = read_builtin()
    order = np.random.default_rng(0).permutation(len(digits.images))
    return digits.images[order], digits.labels[order]


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The shipped model."""
    return Engine(Path(server.__file__).parent / "shipped" / "model.onnx")


def sheet(digit: Picture, generator: np.random.Generator) -> Picture:
    """A digit of any size that one writes, anywhere on a sheet."""
    return place(strokes(digit, int(generator.uniform(70, 160))), SHAPE, generator)


def model_input(data: bytes) -> Picture:
    """What the model sees of a photograph: nothing, where it is refused as blank."""
    try:
        return normalise(decode_image(data))
    except BlankImage:
        return np.zeros((28, 28), np.uint8)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_digit_is_read_from_a_photograph(
    labelled: tuple[Picture, Picture], engine: Engine, condition: str
) -> None:
    images, labels = labelled
    inputs = []
    for index in range(8):
        generator = np.random.default_rng([1, index])
        inputs.append(
            model_input(photograph(sheet(images[index], generator), generator, **CONDITIONS[condition]))
        )
    answers = engine.probabilities(np.stack(inputs)).argmax(axis=1)
    assert (answers == labels[:8]).mean() >= HARD.get(condition, 0.87)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_photograph_of_empty_paper_is_refused_as_blank(condition: str) -> None:
    is_blank = []
    for index in range(5):
        generator = np.random.default_rng([2, index])
        empty = np.zeros(SHAPE, np.uint8)
        is_blank.append(not decode_image(photograph(empty, generator, **CONDITIONS[condition])).any())
    assert np.mean(is_blank) >= HARD.get(condition, 0.8)


@pytest.mark.parametrize(
    ("light", "lines", "ink"), [("shadow", "none", BLUE), ("lamp", "squared", BLUE), ("even", "ruled", GREY)]
)
def test_the_ink_is_where_it_was_written(
    labelled: tuple[Picture, Picture], light: str, lines: str, ink: tuple[float, float, float]
) -> None:
    for index in range(5):
        generator = np.random.default_rng([3, index])
        written = sheet(labelled[0][index], generator)
        found = decode_image(photograph(written, generator, light=light, lines=lines, ink=ink)) > 0
        around = cv2.dilate(written, np.ones((9, 9), np.uint8)) > 0
        assert (found & (written > 128)).sum() > 0.9 * (written > 128).sum()
        assert (found & ~around).sum() < 0.02 * found.sum()


def test_every_digit_of_a_long_number_is_kept_the_small_ones_too(labelled: tuple[Picture, Picture]) -> None:
    for seed in range(3):
        generator = np.random.default_rng([4, seed])
        digits = [strokes(digit, int(generator.uniform(36, 80))) for digit in labelled[0][:7]]
        written = np.zeros((160, 80 + sum(digit.shape[1] + 16 for digit in digits)), np.uint8)
        left, places = 40, []
        for digit in digits:
            height, width = digit.shape
            places.append(np.s_[120 - height : 120, left : left + width])
            written[places[-1]] = digit
            left += width + 16
        found = decode_image(photograph(written, generator, light="gradient", specks=10))
        assert all((found[box] > 0).sum() > 0.8 * (written[box] > 128).sum() for box in places)


def test_a_narrow_strip_with_noise_is_read_as_a_photograph(labelled: tuple[Picture, Picture]) -> None:
    generator = np.random.default_rng(5)
    written = np.zeros((50, 240), np.uint8)
    for place_of, digit in enumerate(labelled[0][:5]):
        small = strokes(digit, 30)[:, :36]
        written[10:40, 10 + 46 * place_of :][:, : small.shape[1]] = small
    found = decode_image(photograph(written, generator, light="gradient", grain=0.02))
    assert (found & (cv2.dilate(written, np.ones((7, 7), np.uint8)) == 0)).sum() == 0
    assert ((found > 0) & (written > 128)).sum() > 0.9 * (written > 128).sum()


def test_a_photograph_of_a_phones_size_gives_ink_of_that_size(
    labelled: tuple[Picture, Picture], engine: Engine
) -> None:
    generator = np.random.default_rng(6)
    small = sheet(labelled[0][3], generator)
    large = cv2.imdecode(np.frombuffer(photograph(small, generator, light="shadow"), np.uint8), 1)
    large = cv2.resize(large, (4000, 3000), interpolation=cv2.INTER_LINEAR)
    found = decode_image(cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes())
    assert found.shape == (3000, 4000)
    assert engine.probabilities(normalise(found)[None]).argmax() == labelled[1][3]
