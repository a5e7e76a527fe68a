"""What a sweep is going to try: its options checked, its trials drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.errors import InvalidArgument, InvalidOption
from server.recipes import TrainingOptions, find, resolve
from server.sweeps.drawing import draw
from server.sweeps.ranges import SweepRange, check_ranges
from server.sweeps.sweep import Trial

MIN_TRIALS, DEFAULT_TRIALS, MAX_TRIALS = 2, 10, 100


def plan(
    recipe: str, overrides: Mapping[str, object], ranges: Sequence[SweepRange], trials: int | None
) -> tuple[TrainingOptions, tuple[Trial, ...]]:
    """The options that all trials have, and so many trials, None for ten.

    There are fewer when the ranges do not hold as many different ones. Raises InvalidArgument.
    """
    _check_recipe(recipe)
    options = resolve(recipe, overrides)
    check_ranges(ranges, overrides)
    count = DEFAULT_TRIALS if trials is None else trials
    if not MIN_TRIALS <= count <= MAX_TRIALS:
        expected = f"expected {MIN_TRIALS} to {MAX_TRIALS}, or 0 for {DEFAULT_TRIALS}"
        raise InvalidArgument("trials", f"{expected}, got {count}")
    drawn = draw(recipe, overrides, ranges, count)
    return options, tuple(Trial(number=place + 1, options=each) for place, each in enumerate(drawn))


def _check_recipe(name: str) -> None:
    """Return for a recipe whose trials can be compared. Raises InvalidOption, whose field is `recipe`."""
    recipe = find(name)
    if recipe.uses_all_data:
        why = "trains on all digits and keeps none aside to compare trials by"
    elif recipe.uses_samples:
        why = "goes on from a version with people's own samples; start a training for that"
    else:
        return
    raise InvalidOption("recipe", f"expected one that begins anew and validates, got {name!r}, which {why}")
