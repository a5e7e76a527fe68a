"""Options against validation accuracy: a line for each trial, across an axis for each option tried."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import streamlit as st
from digits.client.choices import TrialState
from digits.client.records import Sweep, SweepRange, Trial

from frontend.explain.plots import GREY
from frontend.sweeps import words
from frontend.wording import count, percent

Row = dict[str, Any]

ACCURACY = "Validation accuracy"
HEIGHT_PX = 270
BEST, DONE, RUNNING, ENDED, TICK = "best", "done", "training", "ended", "tick"
# What may stand at the axis of accuracies, with so much of its length in between.
_ACCURACIES = (0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
_APART = 0.12


def show(sweep: Sweep, *, key: str) -> None:
    """Show the plot: also before the first trial has a figure, so that nothing moves when one has."""
    tried = words.ordered(sweep.ranges)
    rows = [*tick_rows(sweep), *line_rows(sweep)]
    fields = ("axis", "step", "place", "label", "trial", "tone", "options", "accuracy", "state")
    # On a phone many axes are wider than the screen: they move in a box of their own.
    with st.container(key=f"sweep_plot_{'wide' if len(tried) > 3 else 'narrow'}"):
        st.vega_lite_chart(
            {name: [row.get(name) for row in rows] for name in fields},
            spec([words.TITLES.get(each.option, each.option) for each in tried]),
            width="stretch",
            height=HEIGHT_PX,
            key=key,
            alt=alt(sweep),
        )


def line_rows(sweep: Sweep) -> list[Row]:
    """The points of each trial that has an accuracy: one on each axis, the accuracy's last."""
    low, high = _accuracies(sweep)
    rows: list[Row] = []
    for trial in sweep.trials:
        if trial.validation_accuracy is None:
            continue
        told = {
            "trial": trial.number,
            "tone": tone(trial, sweep),
            "options": words.options_line(trial, sweep.ranges),
            "accuracy": percent(trial.validation_accuracy, 2),
            "state": words.TRIAL_STATES[trial.state],
        }
        tried = words.ordered(sweep.ranges)
        for step, each in enumerate(tried):
            place = _place(each, trial)
            if place is not None:
                axis = words.TITLES.get(each.option, each.option)
                rows.append({"axis": axis, "step": step, "place": place, **told})
        place = _between(trial.validation_accuracy, low, high)
        rows.append({"axis": ACCURACY, "step": len(tried), "place": place, **told})
    return rows


def tick_rows(sweep: Sweep) -> Iterator[Row]:
    """What stands at the axes, and where."""
    for each in words.ordered(sweep.ranges):
        axis = words.TITLES.get(each.option, each.option)
        for value in _ticks(each):
            place = _value_place(each, value)
            if place is not None:
                yield {"axis": axis, "place": place, "label": words.text(each.option, value), "tone": TICK}
    if any(trial.validation_accuracy is not None for trial in sweep.trials):
        low, high = _accuracies(sweep)
        below = 2.0
        for share in reversed(_ACCURACIES):
            place = _between(share, low, high)
            if low <= share <= high and below - place > _APART:
                below = place
                yield {"axis": ACCURACY, "place": place, "label": f"{share * 100:g} %", "tone": TICK}


def tone(trial: Trial, sweep: Sweep) -> str:
    """How a trial's line looks."""
    if trial.number == sweep.best_trial:
        return BEST
    return {TrialState.SUCCEEDED: DONE, TrialState.RUNNING: RUNNING}.get(trial.state, ENDED)


def alt(sweep: Sweep) -> str:
    """The plot in a sentence, for people who do not see it."""
    measured = [trial for trial in sweep.trials if trial.validation_accuracy is not None]
    said = f"The options of {count(len(measured), 'trial')} against their validation accuracy."
    best = sweep.best
    if best is None or best.validation_accuracy is None:
        return said
    options = words.options_line(best, sweep.ranges)
    return f"{said} Best: trial {best.number}, {options}, {percent(best.validation_accuracy, 2)}."


def spec(titles: Sequence[str]) -> Row:
    """The Vega-Lite specification, without its data: the same while a sweep goes on."""
    tooltip = [
        {"field": "trial", "type": "quantitative", "title": "trial", "format": "d"},
        {"field": "state", "type": "nominal"},
        {"field": "options", "type": "nominal"},
        {"field": "accuracy", "type": "nominal"},
    ]
    # The theme's first colour is its accent.
    accent = {"field": "tone", "type": "nominal", "scale": {"domain": [BEST]}, "legend": None}

    def trials(tones: Sequence[str], mark: Row, **encoding: Any) -> Row:
        return {
            "transform": [{"filter": {"field": "tone", "oneOf": list(tones)}}],
            "mark": mark,
            "encoding": {
                "detail": {"field": "trial", "type": "nominal"},
                "order": {"field": "step", "type": "quantitative"},
                "tooltip": tooltip,
                **encoding,
            },
        }

    def lines(tones: Sequence[str], **look: Any) -> Row:
        return trials(tones, {"type": "line", "color": GREY, **look})

    return {
        "encoding": {
            "x": {
                "field": "axis",
                "type": "ordinal",
                "scale": {"domain": [*titles, ACCURACY], "type": "point", "padding": 0.4},
                "axis": {
                    "orient": "top",
                    "title": None,
                    "labelAngle": 0,
                    # Two words below each other: axes stand close to one another on a phone.
                    "labelExpr": "split(datum.label, ' ')",
                    "grid": True,
                    "ticks": False,
                    "domain": False,
                    "labelPadding": 8,
                },
            },
            "y": {
                "field": "place",
                "type": "quantitative",
                "axis": None,
                # Air above and below, for the labels at the ends.
                "scale": {"domain": [-0.06, 1.12], "nice": False},
            },
        },
        "layer": [
            lines([ENDED], opacity=0.3, strokeWidth=1.2),
            lines([RUNNING], opacity=0.8, strokeWidth=1.6, strokeDash=[5, 4]),
            lines([DONE], opacity=0.75, strokeWidth=1.6),
            trials([BEST], {"type": "line", "strokeWidth": 3}, color=accent),
            trials(
                [DONE, RUNNING, ENDED],
                {"type": "point", "filled": True, "size": 26, "color": GREY, "opacity": 0.6},
            ),
            trials([BEST], {"type": "point", "filled": True, "size": 60, "opacity": 1}, color=accent),
            {
                "transform": [{"filter": {"field": "tone", "oneOf": [TICK]}}],
                # A little above its place: lines run level from one choice to the next.
                "mark": {"type": "text", "align": "left", "dx": 6, "dy": -7, "fontSize": 12, "color": GREY},
                "encoding": {"text": {"field": "label", "type": "nominal"}},
            },
        ],
    }


def _ticks(tried: SweepRange) -> list[str]:
    if tried.values:
        return list(tried.values)
    low, high = tried.min or 0.0, tried.max or 0.0
    if not tried.logarithmic or low <= 0:
        return [str(low), str((low + high) / 2), str(high)]
    powers = range(math.ceil(math.log10(low) + 1e-9), math.floor(math.log10(high) - 1e-9) + 1)
    inside = [str(10.0**power) for power in powers if low * 1.5 < 10.0**power < high / 1.5]
    return [str(low), *inside, str(high)]


def _place(tried: SweepRange, trial: Trial) -> float | None:
    value = getattr(trial.options, tried.option, None)
    if value is None:
        return None
    return _value_place(tried, value.name.lower() if hasattr(value, "name") else str(value))


def _value_place(tried: SweepRange, value: str) -> float | None:
    """Where a value stands on its axis, in [0, 1]; None for one that is not of the range."""
    if tried.values:
        known = [words.text(tried.option, each) for each in tried.values]
        told = words.text(tried.option, value)
        return (known.index(told) + 0.5) / len(known) if told in known else None
    low, high, here = tried.min or 0.0, tried.max or 0.0, float(value)
    if tried.logarithmic and low > 0:
        low, high, here = math.log(low), math.log(high), math.log(here)
    return 0.5 if high == low else min(1.0, max(0.0, (here - low) / (high - low)))


def _accuracies(sweep: Sweep) -> tuple[float, float]:
    """The ends of the accuracy's axis: what was reached, with a little air above and below."""
    reached = [trial.validation_accuracy for trial in sweep.trials if trial.validation_accuracy is not None]
    if not reached:
        return 0.0, 1.0
    return max(0.0, 1 - (1 - min(reached)) * 1.15), 1 - max((1 - max(reached)) * 0.87, 1e-4)


def _between(share: float, low: float, high: float) -> float:
    """An accuracy's place: by the logarithm of the error, so that 99.0 and 99.5 % stand apart beside 20 %."""
    error, worst, least = (max(1 - each, 1e-4) for each in (share, low, high))
    if worst <= least:
        return 0.5
    return min(1.0, max(0.0, (math.log(worst) - math.log(error)) / (math.log(worst) - math.log(least))))
