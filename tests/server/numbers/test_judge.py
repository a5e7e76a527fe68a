"""The judge that comes with the server, and the reading of whole numbers, on digits it has never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from server.application import SHIPPED
from server.datasets import Data
from server.inference import Engine
from server.numbers import Judge, choose, search
from server.numbers.examples import examples
from server.numbers.judge import MARK, NEITHER
from server.numbers.written import Number, mnist_writer, write_number


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


def test_numbers_of_digits_apart_are_read(judge: Judge, builtin_data: Data) -> None:
    digits = builtin_data.split(use_all=False).test
    generator = np.random.default_rng(5)
    engine = Engine(Path(SHIPPED) / "model.onnx")
    right = 0
    for _ in range(40):
        chosen = generator.integers(len(digits), size=4)
        ink = np.concatenate([np.pad(digits.images[index], ((6, 6), (0, 3))) for index in chosen], axis=1)
        (line,) = search(ink, judge)
        answers = engine.probabilities(line.images)
        text = "".join(str(answers[place].argmax()) for place in choose(line, answers))
        right += text == "".join(map(str, digits.labels[chosen]))
    assert right >= 38
