"""How a training run is put into words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from digits.client.choices import (
    Activation,
    Architecture,
    Augmentation,
    Optimizer,
    TrainingPhase,
    TrainingState,
)
from digits.client.records import Training, TrainingOptions, TrainingProgress

from frontend.training import words

OPTIONS = TrainingOptions(
    Architecture.MLP, Activation.RELU, Optimizer.ADAM, 0.001, 10, 32, Augmentation.NONE, 1
)
NOW = TrainingProgress(TrainingPhase.TRAINING, 3, 10, 420, 1875, 0.1, 0.97, None, None, 9.0, 20.0, 50.0)


def test_all_options_fit_into_a_line() -> None:
    assert words.options_line(OPTIONS) == "MLP · relu · Adam 0.001 · 10 epochs · batch 32 · seed 1"


def test_one_epoch_is_one_and_augmentation_is_named() -> None:
    line = words.options_line(replace(OPTIONS, epochs=1, augmentation=Augmentation.STANDARD))

    assert "1 epoch ·" in line
    assert "augmented" in line


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (8, "8th"), (11, "11th"), (12, "12th"), (21, "21st")],
)
def test_a_place_in_the_queue_is_said_as_people_say_it(number: int, said: str) -> None:
    assert words.ordinal(number) == said


def test_a_run_that_goes_on_tells_from_where_and_with_how_many_samples() -> None:
    run = Training(
        training_id="1",
        recipe="teach",
        options=OPTIONS,
        state=TrainingState.RUNNING,
        queue_position=0,
        deploy_when_done=True,
        create_time=datetime.now(UTC),
        start_time=None,
        end_time=None,
        progress=NOW,
        history=(),
        model_version=0,
        failure_reason="",
        data_source=None,
        base_version=3,
        samples=1,
    )

    assert words.circumstances(run) == "from version 3 · 1 sample"
    assert words.circumstances(replace(run, base_version=0, samples=0, device="CPU")) == "on CPU"


def test_progress_is_counted_in_batches_over_all_epochs() -> None:
    assert words.share_done(NOW) == pytest.approx((2 + 420 / 1875) / 10)
    assert words.where(NOW) == "Epoch 3 of 10, batch 420 of 1,875"


def test_before_the_first_batch_a_run_starts_and_after_the_last_it_is_measured() -> None:
    starting = replace(NOW, epoch=0, batch=0, batches_per_epoch=0)
    assert words.share_done(starting) == 0.0
    assert words.where(starting).startswith("Starting")
    assert words.where(None).startswith("Starting")

    measuring = replace(NOW, phase=TrainingPhase.EVALUATING)
    assert words.share_done(measuring) == 1.0
    assert words.where(measuring).startswith("Measuring")
