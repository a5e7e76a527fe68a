"""The judge that comes with the server, and the reading of whole numbers, on digits it has never seen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from server.application import SHIPPED
from server.datasets import Data, Digits
from server.inference import Engine
from server.numbers import Judge, Scanner, agree, search
from server.numbers.examples import examples
from server.numbers.hands import mnist_writer
from server.numbers.judge import MARK, NEITHER
from server.numbers.written import Number, write_number


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module")
def numbers(builtin_data: Data) -> list[Number]:
    """Thirty numbers written with the built-in digits: apart, touching, joined, with marks between them."""
    writer = mnist_writer(builtin_data.split(use_all=False).test)
    generator = np.random.default_rng(7)
    return [write_number(writer, generator) for _ in range(30)]


def test_a_written_number_keeps_the_ink_of_each_digit(numbers: list[Number]) -> None:
    for number in numbers:
        assert len(number.digits) == len(number.text)
        everything = np.maximum.reduce([*number.digits, number.marks])
        # A joining stroke is all that is nobody's.
        assert (everything > number.ink).sum() == 0
        assert all(layer.any() for layer in number.digits)


def test_the_same_seed_writes_the_same_numbers(builtin_data: Data) -> None:
    writer = mnist_writer(builtin_data.split(use_all=False).test)
    one, other = (write_number(writer, np.random.default_rng(3)) for _ in range(2))
    assert one.text == other.text
    assert np.array_equal(one.ink, other.ink)


def test_tangled_digits_go_into_each_other_and_stay_in_their_order(builtin_data: Data) -> None:
    writer = mnist_writer(builtin_data.split(use_all=False).test)
    generator = np.random.default_rng(9)
    for number in [write_number(writer, generator, is_tangled=True) for _ in range(20)]:
        boxes = np.array([cv2.boundingRect(layer) for layer in number.digits])
        ends = boxes[:, 0] + boxes[:, 2]
        assert (boxes[1:, 0] < ends[:-1]).all()
        # One may stand below another's bar, but no thin 1 comes out on the other side of it.
        assert (np.diff(boxes[:, 0] + ends) > 0).all()


def test_most_stretches_are_judged_rightly(judge: Judge, numbers: list[Number]) -> None:
    parts = [examples(number) for number in numbers]
    labels = np.concatenate([part.labels for part in parts])
    answers = judge.probabilities(np.concatenate([part.windows for part in parts])).argmax(axis=1)
    is_digit = labels < MARK
    # Of several ways to cut a digit out, each nearly as good, the judge is sure of the best.
    assert (answers == labels)[is_digit].mean() > 0.45
    assert (answers == labels)[labels == NEITHER].mean() > 0.95


def test_no_stretch_is_no_answer(judge: Judge) -> None:
    assert judge.probabilities(np.zeros((0, 32, 32, 2), np.uint8)).shape == (0, 12)


def side_by_side(digits: Digits, chosen: NDArray[np.int64], overlap: int) -> NDArray[np.uint8]:
    """Digits in a row, the columns of neighbours sharing so many pixels; below 0 they are free."""
    boxes = [cv2.boundingRect(digits.images[index]) for index in chosen]
    glyphs = [digits.images[i][:, x : x + w] for i, (x, _, w, _) in zip(chosen, boxes, strict=True)]
    canvas = np.zeros((40, 40 * len(glyphs)), np.uint8)
    x = 6
    for glyph in glyphs:
        seen = canvas[6:34, x : x + glyph.shape[1]]
        np.maximum(seen, glyph, out=seen)
        x += glyph.shape[1] - overlap
    return canvas[:, : x + overlap + 6]


@pytest.mark.parametrize(("overlap", "least"), [(-3, 38), (2, 30)], ids=["apart", "overlapping"])
def test_numbers_are_read(judge: Judge, builtin_data: Data, overlap: int, least: int) -> None:
    digits = builtin_data.split(use_all=False).test
    generator = np.random.default_rng(5)
    engine, scanner = Engine(Path(SHIPPED) / "model.onnx"), Scanner()
    right = 0
    for _ in range(40):
        chosen = generator.integers(len(digits), size=4)
        (line,) = search(side_by_side(digits, chosen, overlap), judge, scanner)
        found = agree(line, engine.probabilities(line.images))
        text = "".join(str(digit.probabilities.argmax()) for digit in found)
        right += text == "".join(map(str, digits.labels[chosen]))
    assert right >= least
