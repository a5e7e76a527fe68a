"""What to try: a range of learning rates, and any of the other choices."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st
from digits.client.records import OptionRange, Recipe, Recipes, SweepRange, TrainingOptions

from frontend.explain import explain
from frontend.sweeps import words
from frontend.training import words as training

# As far below and above the recipe's rate as is worth a try, and no rate is worth more figures than one.
RATE_FACTOR = 5
BATCH_SIZES = (16, 32, 64, 125, 250, 500, 1000)
_CHOICES: Mapping[str, Mapping[Any, str]] = {
    "optimizer": training.OPTIMIZERS,
    "augmentation": training.AUGMENTATIONS,
    "architecture": training.ARCHITECTURES,
    "activation": training.ACTIVATIONS,
}


def choose(recipe: Recipe, recipes: Recipes) -> tuple[list[SweepRange], TrainingOptions]:
    """Show what can be tried; returns the ranges, and what is the same in all trials.

    One choice is for all trials; none is the recipe's own.
    """
    ranges: list[SweepRange] = []
    common = TrainingOptions()
    with st.container(gap="xxsmall"):
        explain("learning_rate")
        low, high = _rates(recipe, recipes.option_ranges["learning_rate"])
    if low < high:
        ranges.append(SweepRange("learning_rate", min=low, max=high, logarithmic=True))
    else:
        common = replace(common, learning_rate=low)
    with st.container(gap="xxsmall"):
        explain("batch_size")
        sizes = _batch_sizes(recipe, recipes.option_ranges["batch_size"])
    if len(sizes) > 1:
        ranges.append(SweepRange("batch_size", values=tuple(map(str, sizes))))
    elif sizes:
        common = replace(common, batch_size=sizes[0])
    pairs = [st.columns(2, gap="small", wrap=True) for _ in range(2)]
    cells = [column.container(gap="xxsmall") for pair in pairs for column in pair]
    for cell, (option, names) in zip(cells, _CHOICES.items(), strict=True):
        with cell:
            explain(option)
            picked = _choices(recipe, option, names)
        if len(picked) > 1:
            ranges.append(SweepRange(option, values=tuple(each.name.lower() for each in picked)))
        elif picked:
            common = replace(common, **{option: picked[0]})
    return ranges, common


def different(ranges: Sequence[SweepRange]) -> int:
    """How many different trials such ranges hold; as good as any number where a rate is drawn."""
    return math.prod(len(each.values) or 10**6 for each in ranges)


def rate_steps(bounds: OptionRange) -> list[float]:
    """The rates to choose from: 1, 2 and 5 of each power of ten inside the bounds."""
    steps = [float(f"{figure}e{power}") for power in range(-7, 3) for figure in (1, 2, 5)]
    return [step for step in steps if bounds.min <= step <= bounds.max]


def usual_rates(rate: float, steps: Sequence[float]) -> tuple[float, float]:
    """From a good deal below a rate to a good deal above it, among the steps."""
    low = max(0, bisect_right(steps, rate / RATE_FACTOR * 1.001) - 1)
    high = min(len(steps) - 1, bisect_left(steps, rate * RATE_FACTOR * 0.999))
    return steps[low], steps[high]


def _rates(recipe: Recipe, bounds: OptionRange) -> tuple[float, float]:
    steps = rate_steps(bounds)
    low, high = st.select_slider(
        "Learning rates",
        steps,
        value=usual_rates(recipe.defaults.learning_rate or bounds.min, steps),
        format_func=lambda rate: words.text("learning_rate", str(rate)),
        label_visibility="collapsed",
        key=_key(recipe, "learning_rate"),
        persist_state="session",
    )
    return float(low), float(high)


def _batch_sizes(recipe: Recipe, bounds: OptionRange) -> list[int]:
    usual = recipe.defaults.batch_size or BATCH_SIZES[0]
    sizes = sorted({usual, *(each for each in BATCH_SIZES if bounds.min <= each <= bounds.max)})
    place = sizes.index(usual)
    picked = st.pills(
        "Batch sizes",
        sizes,
        selection_mode="multi",
        default=sizes[max(0, place - 1) : place + 2],
        label_visibility="collapsed",
        key=_key(recipe, "batch_size"),
        persist_state="session",
    )
    return sorted(picked)


def _choices(recipe: Recipe, option: str, names: Mapping[Any, str]) -> list[Any]:
    picked = st.pills(
        words.TITLES[option],
        list(names),
        selection_mode="multi",
        default=[getattr(recipe.defaults, option)],
        format_func=lambda each: names[each],
        label_visibility="collapsed",
        key=_key(recipe, option),
        persist_state="session",
    )
    return [each for each in names if each in picked]


def _key(recipe: Recipe, option: str) -> str:
    # Each recipe keeps its own, as in the form of one run.
    return f"sweep_{recipe.name}_{option}"
