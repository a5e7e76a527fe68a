"""What is no digit, made to learn doubt from."""

from __future__ import annotations

import numpy as np
import pytest

from server.datasets import Data, Digits
from server.trainer.non_digits import NO_DIGIT, non_digits


@pytest.fixture(scope="module")
def train(builtin_data: Data) -> Digits:
    return builtin_data.split(use_all=False).train


@pytest.fixture(scope="module")
def made(train: Digits) -> np.ndarray:
    return non_digits(train, 200, np.random.default_rng(1))


def test_they_look_as_normalisation_leaves_what_it_is_given(made: np.ndarray) -> None:
    assert (made.shape, made.dtype) == ((200, 28, 28), np.uint8)
    for picture in made:
        rows, columns = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
        assert max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 in range(18, 22)
        assert picture.max() >= 250


def test_they_are_of_five_kinds_in_turn_and_none_is_a_training_digit(made: np.ndarray, train: Digits) -> None:
    known = {image.tobytes() for image in train.images}
    for kind in range(5):
        pictures = {picture.tobytes() for picture in made[kind::5]}
        assert len(pictures) == 40
        assert not pictures & known


def test_the_same_seed_makes_the_same_and_another_one_others(train: Digits, made: np.ndarray) -> None:
    np.testing.assert_array_equal(non_digits(train, 20, np.random.default_rng(1)), made[:20])
    assert (non_digits(train, 20, np.random.default_rng(2)) != made[:20]).any(axis=(1, 2)).all()


def test_their_label_is_none_of_the_ten(train: Digits) -> None:
    assert NO_DIGIT not in set(train.labels.tolist()) | set(range(10))
    assert NO_DIGIT in range(256)


def test_none_can_be_asked_for(train: Digits) -> None:
    assert non_digits(train, 0, np.random.default_rng(1)).shape == (0, 28, 28)
