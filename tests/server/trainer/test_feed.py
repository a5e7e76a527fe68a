"""The digits of each epoch."""

from __future__ import annotations

import dataclasses

import numpy as np

from server.datasets import Data
from server.datasets.pen_strokes import PenDigit
from server.recipes import RECIPES, Augmentation
from server.trainer.feed import PEN_COPIES, Extras, epochs, make_epoch, pictures
from server.trainer.non_digits import NO_DIGIT

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


def test_extras_are_made_anew_for_every_epoch_and_mixed_in(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train[:200]
    stroke = np.array([[0.1, 0.0], [0.1, 1.0]], np.float32)
    extras = Extras(pen_digits=(PenDigit(1, (stroke,), writer=1),) * 20, non_digits=30)
    first, second = epochs(train, dataclasses.replace(PLAIN, epochs=2), extras=extras)
    for digits in (first, second):
        assert len(digits) == pictures(len(train), extras) == 200 + PEN_COPIES * 20 + 30
        assert (digits.labels == NO_DIGIT).sum() == 30
        assert (digits.labels == 1).sum() == (train.labels == 1).sum() + PEN_COPIES * 20
        # Not one kind after the other.
        assert 0.2 < np.flatnonzero(digits.labels == NO_DIGIT).mean() / len(digits) < 0.8
    known = {image.tobytes() for image in train.images}
    made_first, made_second = (
        {image.tobytes() for image in digits.images} - known for digits in (first, second)
    )
    assert len(made_first) > 60
    assert len(made_first & made_second) < 5


def test_with_extras_a_share_of_every_kind_is_left_unvaried(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train[:400]
    stroke = np.array([[0.3, 0.0], [0.1, 1.0]], np.float32)
    extras = Extras(pen_digits=(PenDigit(1, (stroke,), writer=1),) * 200, non_digits=400)
    plain = make_epoch(train, dataclasses.replace(VARIED, augmentation=Augmentation.NONE), 1, extras)
    varied = make_epoch(train, VARIED, 1, extras)
    is_left = (plain.images == varied.images).all(axis=(1, 2))
    from_mnist = {image.tobytes() for image in train.images}
    is_mnist = np.array([image.tobytes() in from_mnist for image in plain.images])
    kinds = (is_mnist, plain.labels == NO_DIGIT, ~is_mnist & (plain.labels != NO_DIGIT))
    assert [kind.sum() for kind in kinds] == [400, 400, 400]
    for kind in kinds:
        assert 0.15 < is_left[kind].mean() < 0.35
    assert not (make_epoch(train, VARIED, 1).images == train.images).all(axis=(1, 2)).any()


def test_extras_too_depend_on_seed_and_number_alone(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train[:100]
    extras = Extras(non_digits=40)
    second = list(epochs(train, dataclasses.replace(VARIED, epochs=2), extras=extras))[1]
    assert np.array_equal(second.images, make_epoch(train, VARIED, 2, extras).images)


def ink_of(images: np.ndarray) -> np.ndarray:
    """The sum of each image's pixels: (N,)."""
    return images.reshape(len(images), -1).sum(axis=1)
