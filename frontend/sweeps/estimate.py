"""How long a sweep may take, told from the runs before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from digits.client.choices import Architecture, TrainingState
from digits.client.records import Recipe, Training


def sweep_s(
    runs: Iterable[Training],
    recipe: Recipe,
    *,
    trials: int,
    epochs: int,
    architectures: Sequence[Architecture] = (),
    at_once: int = 1,
) -> float | None:
    """Seconds for all trials to their last epoch, None without a run to go by.

    Runs of the same recipe count, or else those of a network of its kind; `architectures` are the networks
    that are tried, and the recipe's own if that is empty.
    """
    kinds = set(architectures) or {recipe.defaults.architecture}
    known = [run for run in runs if run.state is TrainingState.SUCCEEDED and run.history]
    alike = [run for run in known if run.recipe == recipe.name and run.options.architecture in kinds]
    alike = alike or [run for run in known if run.options.architecture in kinds]
    if not alike:
        return None
    an_epoch_s = median(sum(each.duration_s for each in run.history) / len(run.history) for run in alike)
    around_s = median(_around_s(run) for run in alike)
    return trials * (around_s + epochs * an_epoch_s) / max(1, at_once)


def _around_s(run: Training) -> float:
    """What a run takes besides its epochs: its start, and measuring the result."""
    if run.start_time is None or run.end_time is None:
        return 0.0
    took_s = (run.end_time - run.start_time).total_seconds()
    return max(0.0, took_s - sum(each.duration_s for each in run.history))
