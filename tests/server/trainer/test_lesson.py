"""What a lesson is made of: samples among repeated digits, and folds that hide them."""

from __future__ import annotations

import dataclasses

import numpy as np

from server import networks
from server.datasets import Data, Digits
from server.recipes import RECIPES, Augmentation
from server.trainer.calibrate import read_network
from server.trainer.feed import SAMPLE_COPIES, SAMPLE_PICTURES, Extras, make_epoch, pictures
from server.trainer.teach import HARD, KEPT_SHARE, fold_numbers, least_sure, part_of_the_way

PLAIN = dataclasses.replace(RECIPES["teach"].defaults, augmentation=Augmentation.NONE)


def pixels_of(digits: Digits) -> list[bytes]:
    return [image.tobytes() for image in digits.images]


def test_an_epoch_shows_every_sample_by_turns_and_as_many_other_digits(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train
    digits, samples = train[:3000], train[3000:3030]
    extras = Extras(samples=samples)
    made = make_epoch(digits, PLAIN, 1, extras)
    assert len(made) == pictures(len(digits), extras) == 2 * SAMPLE_PICTURES
    shown = [pixels_of(made).count(pixels) for pixels in pixels_of(samples)]
    assert (min(shown), max(shown)) == (SAMPLE_PICTURES // 30, -(-SAMPLE_PICTURES // 30))
    repeated = set(pixels_of(made)) - set(pixels_of(samples))
    assert len(repeated) == SAMPLE_PICTURES
    assert repeated <= set(pixels_of(digits))
    assert repeated != set(pixels_of(make_epoch(digits, PLAIN, 2, extras))) - set(pixels_of(samples))


def test_many_samples_are_all_shown_and_few_digits_are_not_shown_twice(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train
    digits, samples = train[:100], train[100:600]
    made = make_epoch(digits, PLAIN, 1, Extras(samples=samples))
    assert len(made) == 100 + SAMPLE_COPIES * 500
    assert all(pixels_of(made).count(pixels) == SAMPLE_COPIES for pixels in pixels_of(samples))
    assert all(pixels_of(made).count(pixels) == 1 for pixels in pixels_of(digits))


def test_equal_drawings_are_hidden_together_and_each_digit_is_spread_over_the_folds(
    builtin_data: Data,
) -> None:
    train = builtin_data.split(use_all=False).train
    few = train[np.concatenate([np.flatnonzero(train.labels == digit)[:8] for digit in range(10)])]
    twice = np.tile(np.arange(len(few)), 2)
    samples = Digits(few.images[twice], few.labels[twice])
    folds = fold_numbers(samples, 4, seed=1)
    assert np.array_equal(folds[: len(few)], folds[len(few) :])
    for digit in range(10):
        assert np.bincount(folds[: len(few)][few.labels == digit], minlength=4).tolist() == [2, 2, 2, 2]


def test_weights_are_taken_part_of_the_way() -> None:
    begin, end = [np.zeros((2, 3), np.float32)], [np.ones((2, 3), np.float32)]
    (between,) = part_of_the_way(begin, end)
    assert between.dtype == np.float32
    assert np.allclose(between, KEPT_SHARE)


def test_half_of_the_repeated_digits_are_hard_ones_left_as_they_are(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train
    hard = train[:500]
    extras = Extras(samples=train[500:530], hard=hard)
    made = make_epoch(train[530:], RECIPES["teach"].defaults, 1, extras)
    assert len(made) == pictures(len(train) - 530, extras) == 2 * SAMPLE_PICTURES
    label_of = dict(zip(pixels_of(hard), hard.labels.tolist(), strict=True))
    found = [pixels for pixels in pixels_of(made) if pixels in label_of]
    assert len(found) == len(set(found)) == SAMPLE_PICTURES // 2
    assert all(
        label_of[pixels] == label
        for pixels, label in zip(pixels_of(made), made.labels.tolist(), strict=True)
        if pixels in label_of
    )


def test_the_pictures_that_a_network_is_least_sure_of_are_the_hard_ones(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train
    model = networks.build(PLAIN)
    hard = least_sure(model, train, PLAIN)
    sure = read_network(model, train.images)[np.arange(len(train)), train.labels]
    label_of = dict(zip(pixels_of(train), sure.tolist(), strict=True))
    assert len(hard) == HARD
    # Every digit was tried three or four times, and they are taken from the least sure on.
    assert max(label_of[pixels] for pixels in pixels_of(hard)) <= np.sort(sure)[HARD // 3]


def test_digits_are_repeated_as_they_are_for_a_version_that_knows_no_others(builtin_data: Data) -> None:
    train = builtin_data.split(use_all=False).train
    extras = Extras(samples=train[:30], varies_digits=False)
    made = pixels_of(make_epoch(train[30:], RECIPES["teach"].defaults, 1, extras))
    assert len(set(made) & set(pixels_of(train[30:]))) == SAMPLE_PICTURES
    # The samples are varied, most of them.
    assert sum(pixels in set(pixels_of(train[:30])) for pixels in made) < SAMPLE_PICTURES / 2
