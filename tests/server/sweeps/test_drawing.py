"""The options of a sweep's trials: drawn evenly, the same every time, and refused by name."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from server.errors import InvalidOption
from server.recipes import LEARNING_RATES, Optimizer, resolve
from server.sweeps.drawing import draw
from server.sweeps.ranges import MAX_VALUES, SweepRange, check_ranges

RATE = SweepRange("learning_rate", min=0.0001, max=0.1, logarithmic=True)


def test_the_same_ranges_and_seed_give_the_same_trials_and_another_seed_gives_others() -> None:
    ranges = [RATE, SweepRange("optimizer", values=("adam", "sgd"))]
    first = draw("classic-fast", {}, ranges, 10)
    assert first == draw("classic-fast", {}, ranges, 10)
    assert first != draw("classic-fast", {"seed": 2}, ranges, 10)


def test_trials_differ_in_what_is_tried_only() -> None:
    base = resolve("cnn", {"epochs": 2, "seed": 9})
    for options in draw("cnn", {"epochs": 2, "seed": 9}, [RATE], 5):
        assert options != base
        assert {**options.to_json(), "learning_rate": 0} == {**base.to_json(), "learning_rate": 0}


def test_a_logarithmic_range_gives_as_many_to_each_power_of_ten() -> None:
    rates = [options.learning_rate for options in draw("cnn", {}, [RATE], 30)]
    assert Counter(math.floor(math.log10(rate)) for rate in rates) == {-4: 10, -3: 10, -2: 10}


def test_an_even_range_gives_as_many_to_each_part_of_it() -> None:
    sizes = [options.batch_size for options in draw("cnn", {}, [SweepRange("batch_size", 100, 199)], 20)]
    assert Counter(size // 10 for size in sizes) == dict.fromkeys(range(10, 20), 2)


def test_values_get_equal_shares() -> None:
    ranges = [RATE, SweepRange("optimizer", values=("adam", "sgd", "adagrad"))]
    drawn = Counter(options.optimizer for options in draw("cnn", {}, ranges, 9))
    assert drawn == dict.fromkeys(Optimizer, 3)


def test_drawn_values_stay_within_their_ends_and_reach_them() -> None:
    ranges = [SweepRange("batch_size", 8, 10, logarithmic=True)]
    assert sorted(options.batch_size for options in draw("cnn", {}, ranges, 3)) == [8, 9, 10]
    for options in draw("cnn", {}, [SweepRange("learning_rate", 0.12345, 0.12346)], 100):
        assert 0.12345 <= options.learning_rate <= 0.12346


def test_no_trial_is_like_another_and_there_are_as_many_as_differ() -> None:
    ranges = [SweepRange("activation", values=("relu", "sigmoid")), SweepRange("batch_size", 8, 10)]
    assert len(set(draw("cnn", {}, ranges, 5))) == 5
    assert len(set(draw("cnn", {}, ranges, 100))) == len(draw("cnn", {}, ranges, 100)) == 6


def test_an_optimizer_that_is_tried_without_a_rate_brings_its_own() -> None:
    ranges = [SweepRange("optimizer", values=("adam", "sgd", "adagrad"))]
    rates = {options.optimizer: options.learning_rate for options in draw("cnn", {}, ranges, 3)}
    assert rates[Optimizer.SGD] == LEARNING_RATES[Optimizer.SGD]
    assert rates[Optimizer.ADAM] == resolve("cnn", {}).learning_rate


REFUSED: dict[str, tuple[list[SweepRange], str, str]] = {
    "none": ([], "ranges", "expected at least one range to draw options from, got none"),
    "unknown": ([SweepRange("depth", 1, 2)], "ranges[0].option", "got 'depth'"),
    "seed": ([SweepRange("seed", 1, 2)], "ranges[0].option", "got 'seed'"),
    "epochs": ([SweepRange("epochs", 1, 2)], "ranges[0].option", "expected one of activation, architecture"),
    "twice": ([RATE, RATE], "ranges[1].option", "expected each option once, got 'learning_rate' again"),
    "set too": ([SweepRange("batch_size", 8, 16)], "options.batch_size", "because ranges[0] tries it"),
    "no ends": ([SweepRange("learning_rate")], "ranges[0].min", "got neither, and no values"),
    "no min": ([SweepRange("learning_rate", max=0.1)], "ranges[0].min", "got none"),
    "no max": ([SweepRange("learning_rate", min=0.1)], "ranges[0].max", "got none"),
    "upside down": (
        [SweepRange("learning_rate", 0.1, 0.01)],
        "ranges[0].max",
        "expected at least min, which is 0.1, got 0.01",
    ),
    "too low": (
        [RATE, SweepRange("architecture", values=("cnn", "mlp")), SweepRange("activation", 0, 1)],
        "ranges[2].values",
        "expected one or more of relu, sigmoid, got none",
    ),
    "out of range": (
        [SweepRange("learning_rate", 0, 0.1)],
        "ranges[0].min",
        "expected a number from 1e-05 to 1, got 0",
    ),
    "no number": ([SweepRange("learning_rate", math.nan, 0.1)], "ranges[0].min", "got nan"),
    "endless": ([SweepRange("learning_rate", 0.1, math.inf)], "ranges[0].max", "got inf"),
    "not whole": (
        [SweepRange("architecture", values=("cnn",)), SweepRange("learning_rate", values=("0.1", "x"))],
        "ranges[1].values[1]",
        "got 'x'",
    ),
    "both": (
        [SweepRange("learning_rate", min=0.1, values=("0.1",))],
        "ranges[0].values",
        "expected either values, or min and max",
    ),
    "again": (
        [SweepRange("learning_rate", values=("0.1", "0.10"))],
        "ranges[0].values[1]",
        "expected each value once, got '0.10' again",
    ),
    "no choice": ([SweepRange("optimizer", values=("lion",))], "ranges[0].values[0]", "got 'lion'"),
    "too many": (
        [SweepRange("learning_rate", values=("0.1",) * (MAX_VALUES + 1))],
        "ranges[0].values",
        f"expected at most {MAX_VALUES} values, got {MAX_VALUES + 1}",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_range_that_cannot_be_drawn_from_is_refused_by_name(case: str) -> None:
    ranges, field, words = REFUSED[case]
    chosen: dict[str, Any] = {"batch_size": 32} if case == "set too" else {}
    with pytest.raises(InvalidOption) as refusal:
        check_ranges(ranges, chosen)
    assert refusal.value.field == field
    assert words in refusal.value.description


def test_a_batch_size_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(InvalidOption, match=r"ranges\[0\].max: expected a whole number .* got 16.5"):
        check_ranges([SweepRange("batch_size", 8, 16.5)], {})


def test_ranges_of_one_value_are_refused() -> None:
    with pytest.raises(InvalidOption, match="at least two different values"):
        draw("cnn", {}, [SweepRange("batch_size", 8, 8), SweepRange("activation", values=("relu",))], 10)
