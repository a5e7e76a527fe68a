"""The options of a sweep's trials, drawn from its ranges: the same ranges and seed give the same trials."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from server.errors import InvalidOption
from server.recipes import TrainingOptions, resolve
from server.sweeps.ranges import SweepRange

# How often a trial that is like an earlier one is drawn anew.
ATTEMPTS = 10_000


def draw(
    recipe: str, overrides: Mapping[str, object], ranges: Sequence[SweepRange], trials: int
) -> tuple[TrainingOptions, ...]:
    """The options of the trials, no two alike; fewer than `trials` when there are no more different ones.

    A Latin hypercube (McKay, Beckman and Conover, Technometrics 1979): each range is cut into as many parts
    as there are trials, and each part used once, in an order of its own. So a range is covered evenly however
    few trials there are, where plain dice leave gaps. All have the seed of the options, which is that of the
    drawing too: they differ in what is tried only.

    The ranges have been checked. Raises InvalidOption for an option that `resolve` refuses, and when only one
    trial can be drawn.
    """
    chance = random.Random(resolve(recipe, overrides).seed)
    different = math.prod(tried.size for tried in ranges)
    if different < 2:
        raise InvalidOption("ranges", "expected ranges with at least two different values, got one")
    columns = [_strata(chance, trials) for _ in ranges]
    drawn: dict[TrainingOptions, None] = {}
    for places in zip(*columns, strict=True):
        drawn[_options(recipe, overrides, ranges, places)] = None
    for _ in range(ATTEMPTS):
        if len(drawn) >= min(trials, different):
            break
        drawn[_options(recipe, overrides, ranges, [chance.random() for _ in ranges])] = None
    return tuple(drawn)


def _strata(chance: random.Random, count: int) -> list[float]:
    """`count` places in [0, 1), one in each of as many equal parts, in any order."""
    places = [(part + chance.random()) / count for part in range(count)]
    chance.shuffle(places)
    return places


def _options(
    recipe: str, overrides: Mapping[str, object], ranges: Sequence[SweepRange], places: Sequence[float]
) -> TrainingOptions:
    tried = {each.option: each.at(place) for each, place in zip(ranges, places, strict=True)}
    return resolve(recipe, {**overrides, **tried})
