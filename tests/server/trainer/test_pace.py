"""The time that a training will still take."""

from __future__ import annotations

import pytest

from server.trainer.pace import VALIDATION_COST, WINDOW, Pace


def test_before_the_first_call_nothing_is_known() -> None:
    assert Pace(images=1000, validation_images=100, epochs=3).remaining_s(epoch=1, seen=0) is None


def test_in_the_first_epoch_validation_is_estimated_by_what_learning_takes() -> None:
    pace = Pace(images=1000, validation_images=100, epochs=3)
    pace.learnt(images=100, seconds=1.0)
    validation_s = VALIDATION_COST * 1.0
    assert pace.remaining_s(epoch=1, seen=100) == pytest.approx(9 + validation_s + 2 * (10 + validation_s))


def test_after_an_epoch_everything_beside_learning_is_known() -> None:
    pace = Pace(images=1000, validation_images=100, epochs=3)
    pace.learnt(images=100, seconds=1.0)
    pace.other(4.0)
    assert pace.remaining_s(epoch=2, seen=0) == pytest.approx(2 * (10 + 4))
    assert pace.remaining_s(epoch=3, seen=1000) == pytest.approx(4)


def test_after_the_last_epoch_nothing_is_left() -> None:
    pace = Pace(images=1000, validation_images=100, epochs=3)
    pace.learnt(images=100, seconds=1.0)
    pace.other(4.0)
    assert pace.remaining_s(epoch=4, seen=0) == pytest.approx(0)


def test_it_follows_a_machine_that_slows_down() -> None:
    pace = Pace(images=1000, validation_images=0, epochs=1)
    for seconds in (1.0, 2.0):
        for _ in range(WINDOW):
            pace.learnt(images=100, seconds=seconds)
    assert pace.remaining_s(epoch=1, seen=0) == pytest.approx(20)
