"""The training loop on a few hundred real digits, in this process."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from server import networks
from server.datasets import Data, Digits
from server.failures import TrainingDiverged
from server.protocol import EpochMetrics
from server.recipes import RECIPES, Augmentation, Optimizer, Schedule, TrainingOptions
from server.trainer.feed import NOTHING, Extras
from server.trainer.loop import fit
from server.trainer.non_digits import non_digits
from server.trainer.reporter import Reporter

SMALL = dataclasses.replace(RECIPES["classic"].defaults, epochs=2, batch_size=30, learning_rate=0.002)


class Events:
    """What the loop told."""

    def __init__(self) -> None:
        self.epochs: list[EpochMetrics] = []

    def __call__(self, event: str, values: dict[str, Any]) -> None:
        if event == "epoch":
            self.epochs.append(EpochMetrics(**values))


@pytest.fixture(scope="module")
def train(builtin_data: Data) -> Digits:
    return builtin_data.split(use_all=False).train[:1000]


@pytest.fixture(scope="module")
def validation(builtin_data: Data) -> Digits:
    validation = builtin_data.split(use_all=False).validation
    assert validation is not None
    return validation


def learn(
    train: Digits,
    validation: Digits | None,
    options: TrainingOptions,
    schedule: Schedule = Schedule.CONSTANT,
    extras: Extras = NOTHING,
) -> tuple[keras.Model, EpochMetrics, list[EpochMetrics]]:
    keras.utils.set_random_seed(options.seed)
    model, events = networks.build(options), Events()
    kept = fit(model, train, validation, options, schedule, Reporter(events, options.epochs), extras=extras)
    return model, kept, events.epochs


def accuracy(model: keras.Model, digits: Digits) -> float:
    probabilities = model(digits.images[..., np.newaxis].astype(np.float32) / 255).numpy()
    return float((probabilities.argmax(axis=1) == digits.labels).mean())


def test_a_network_learns(train: Digits, validation: Digits) -> None:
    model, _, history = learn(train, validation, SMALL)
    assert [metrics.epoch for metrics in history] == [1, 2]
    assert history[1].loss < history[0].loss
    assert history[1].accuracy > 0.85
    assert accuracy(model, validation) > 0.8


def test_the_weights_of_the_epoch_that_validates_best_are_kept(train: Digits, validation: Digits) -> None:
    # Steps this large make a network forget as fast as it learns, so the last epoch is seldom the best one.
    rough = dataclasses.replace(SMALL, epochs=6, optimizer=Optimizer.SGD, learning_rate=1.0, batch_size=16)
    was_last_worse = False
    for seed in range(10):
        model, kept, history = learn(train, validation, dataclasses.replace(rough, seed=seed))
        best = max(metrics.validation_accuracy or 0.0 for metrics in history)
        assert kept.validation_accuracy == best
        assert accuracy(model, validation) == pytest.approx(best)
        was_last_worse = best > (history[-1].validation_accuracy or 0.0)
        if was_last_worse:
            break
    assert was_last_worse


def test_without_validation_digits_nothing_is_chosen_and_the_last_epoch_is_kept(train: Digits) -> None:
    _, kept, history = learn(train, None, SMALL)
    assert kept == history[-1]
    assert kept.validation_loss is None
    assert kept.validation_accuracy is None


@pytest.mark.parametrize("optimizer", list(Optimizer))
@pytest.mark.parametrize("schedule", list(Schedule))
def test_every_optimizer_learns_under_every_schedule(
    train: Digits, optimizer: Optimizer, schedule: Schedule
) -> None:
    rates = {Optimizer.ADAM: 0.002, Optimizer.SGD: 0.1, Optimizer.ADAGRAD: 0.02}
    options = dataclasses.replace(SMALL, optimizer=optimizer, learning_rate=rates[optimizer])
    _, kept, _ = learn(train, None, options, schedule)
    assert kept.accuracy > 0.75


def test_the_same_seed_gives_the_same_network(train: Digits, validation: Digits) -> None:
    options = dataclasses.replace(
        RECIPES["cnn"].defaults, epochs=2, batch_size=50, augmentation=Augmentation.STANDARD
    )
    first, kept, _ = learn(train, validation, options, Schedule.COSINE)
    again, kept_again, _ = learn(train, validation, options, Schedule.COSINE)
    assert dataclasses.replace(kept, duration_s=0.0) == dataclasses.replace(kept_again, duration_s=0.0)
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_that_is_shown_what_is_no_digit_doubts_it(train: Digits, validation: Digits) -> None:
    others = non_digits(validation, 200, np.random.default_rng(9))
    pixels = others[..., np.newaxis].astype(np.float32) / 255
    surenesses = []
    for count in (0, 300):
        model, kept, _ = learn(train, validation, SMALL, extras=Extras(non_digits=count))
        surenesses.append(model(pixels).numpy().max(axis=1).mean())
        # They count as digits read neither right nor wrong.
        assert kept.accuracy > 0.85
        assert accuracy(model, validation) > 0.8
    assert surenesses[1] < surenesses[0] - 0.1


def test_a_loss_that_is_no_number_ends_the_training_at_once(train: Digits) -> None:
    model = networks.build(SMALL)
    model.set_weights([np.full_like(weights, np.nan) for weights in model.get_weights()])
    events = Events()
    with pytest.raises(TrainingDiverged, match="not a number in epoch 1"):
        fit(model, train, None, SMALL, Schedule.CONSTANT, Reporter(events, SMALL.epochs))
    assert not events.epochs
