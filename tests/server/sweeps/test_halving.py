"""Asynchronous successive halving: who goes on from a rung, and who does not."""

from __future__ import annotations

import random

import pytest

from server.sweeps import FACTOR, Halving


def fates(halving: Halving, epoch: int, accuracies: list[float]) -> list[bool]:
    """Whether trials 1, 2, 3 … that come to an epoch one after the other have fallen behind there."""
    return [halving.is_behind(trial, epoch, accuracy) for trial, accuracy in enumerate(accuracies, start=1)]


def test_nobody_is_ended_before_there_are_enough_to_compare_with() -> None:
    assert fates(Halving(epochs=9), 1, [0.2, 0.1]) == [False, False]


def test_of_those_that_have_come_the_best_third_goes_on() -> None:
    # The sixth is second of six, the seventh third of seven.
    assert fates(Halving(epochs=9), 1, [0.5, 0.1, 0.4, 0.6, 0.3, 0.55, 0.52]) == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
    ]


def test_who_is_as_good_as_the_best_goes_on() -> None:
    assert fates(Halving(epochs=9), 1, [0.9, 0.9, 0.9, 0.9]) == [False] * 4


def test_the_best_so_far_always_goes_on() -> None:
    chance = random.Random(7)
    accuracies = [chance.random() for _ in range(100)]
    behind = fates(Halving(epochs=9), 1, accuracies)
    for place, is_behind in enumerate(behind):
        assert not (is_behind and accuracies[place] == max(accuracies[: place + 1]))
    assert sum(behind) > 50


@pytest.mark.parametrize(("epochs", "rungs"), [(1, []), (2, [1]), (3, [1]), (4, [1, 3]), (20, [1, 3, 9])])
def test_there_are_rungs_after_1_3_9_epochs_but_none_after_the_last(epochs: int, rungs: list[int]) -> None:
    compared = []
    for epoch in range(1, epochs + 1):
        halving = Halving(epochs)
        fates(halving, epoch, [0.9] * FACTOR)
        if halving.is_behind(99, epoch, 0.1):
            compared.append(epoch)
    assert compared == rungs


def test_rungs_are_compared_each_by_itself() -> None:
    halving = Halving(epochs=9)
    fates(halving, 1, [0.1, 0.2, 0.3])
    # At the second rung there is nobody yet.
    assert not halving.is_behind(1, 3, 0.05)


def test_to_be_noted_twice_changes_nothing() -> None:
    halving = Halving(epochs=9)
    assert fates(halving, 1, [0.5, 0.4, 0.6]) == [False, False, False]
    assert [halving.is_behind(3, 1, 0.6) for _ in range(5)] == [False] * 5
    assert halving.is_behind(4, 1, 0.55)
