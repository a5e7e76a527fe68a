"""The digits of each epoch."""

from __future__ import annotations

import dataclasses

import numpy as np

from server.datasets import Data
from server.recipes import RECIPES, Augmentation
from server.trainer.feed import epochs, make_epoch

PLAIN = dataclasses.replace(RECIPES["classic"].defaults, epochs=3)
VARIED = dataclasses.replace(RECIPES["cnn"].defaults, epochs=3)


def test_every_epoch_shows_every_digit_once_in_an_order_of_its_own(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=True).train
    seen = list(epochs(train, PLAIN))
    assert len(seen) == 3
    for digits in seen:
        assert np.array_equal(np.sort(ink_of(digits.images)), np.sort(ink_of(train.images)))
        assert np.array_equal(np.bincount(digits.labels), np.bincount(train.labels))
    assert not np.array_equal(seen[0].labels, seen[1].labels)


def test_images_keep_their_labels(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train
    label_of = {image.tobytes(): label for image, label in zip(train.images, train.labels, strict=True)}
    digits = make_epoch(train, PLAIN, 1)
    assert [label_of[image.tobytes()] for image in digits.images] == digits.labels.tolist()


def test_an_epoch_depends_on_seed_and_number_alone(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train[:200]
    third = list(epochs(train, VARIED))[2]
    alone = make_epoch(train, VARIED, 3)
    assert np.array_equal(third.images, alone.images)
    assert np.array_equal(third.labels, alone.labels)
    other = make_epoch(train, dataclasses.replace(VARIED, seed=2), 3)
    assert not np.array_equal(other.images, alone.images)


def test_augmentation_varies_the_images_and_not_their_labels(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train[:200]
    plain = make_epoch(train, dataclasses.replace(VARIED, augmentation=Augmentation.NONE), 1)
    varied = make_epoch(train, VARIED, 1)
    assert np.array_equal(plain.labels, varied.labels)
    assert not np.array_equal(plain.images, varied.images)


def ink_of(images: np.ndarray) -> np.ndarray:
    """The sum of each image's pixels: (N,)."""
    return images.reshape(len(images), -1).sum(axis=1)
