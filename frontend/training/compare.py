"""The curves of several runs, laid over one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from digits.client.records import Training

from frontend import charts, style, wording
from frontend.training import words

# More lines than these cannot be told apart.
MOST = 6

_CHOSEN = "train_compared"


def compare(runs: Sequence[Training], titles: dict[str, str]) -> None:
    """Let people choose runs, newest first, and show their curves in one picture each of loss and accuracy.

    `titles`: the recipes' titles by name. Runs without a finished epoch have no curve yet.
    """
    by_id = {run.training_id: run for run in runs if run.history}
    if len(by_id) < 2:
        return
    st.subheader("Compare runs")
    # The newest two to begin with. A run that has gone out of sight cannot stay chosen.
    before = st.session_state.get(_CHOSEN, list(by_id)[:2])
    st.session_state[_CHOSEN] = [each for each in before if each in by_id]
    chosen = st.multiselect(
        "Runs",
        list(by_id),
        format_func=lambda each: label(by_id[each], titles),
        max_selections=MOST,
        placeholder="Choose runs",
        label_visibility="collapsed",
        key=_CHOSEN,
    )
    if not chosen:
        style.notice("Choose two runs or more to lay their curves over one another.")
        return
    compared = {label(by_id[each], titles): by_id[each] for each in chosen}
    for column, measure in zip(st.columns(2), (charts.LOSS, charts.ACCURACY), strict=True):
        with column:
            st.vega_lite_chart(
                overlay_rows(compared, measure),
                overlay_spec(list(compared), measure),
                width="stretch",
                height=260,
                key=f"train_compare_{measure.field}",
                alt=f"{measure.title} of {wording.count(len(compared), 'run')} after each epoch.",
            )
    st.caption("Solid lines: validation images. Dashed lines: training images.")


def label(run: Training, titles: dict[str, str]) -> str:
    """A run's name in the legend: its recipe, its options, and enough of its id to tell twins apart."""
    title = titles.get(run.recipe, run.recipe)
    return f"{title} · {words.options_line(run.options)} · {run.training_id[:4]}"


def overlay_rows(runs: dict[str, Training], measure: charts.Measure) -> dict[str, list[Any]]:
    """The points of several runs' curves as columns: run, epoch, value, set."""
    rows = [{"run": name, **row} for name, run in runs.items() for row in charts.curve_rows(run, measure)]
    return {field: [row[field] for row in rows] for field in ("run", "epoch", "value", "set")}


def overlay_spec(names: list[str], measure: charts.Measure) -> dict[str, Any]:
    """The Vega-Lite specification of the picture: a colour a run, dashes for the training images."""
    return {
        "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 22}},
        "encoding": {
            "x": {
                "field": "epoch",
                "type": "quantitative",
                "title": "Epoch",
                "axis": {"tickMinStep": 1, "format": "d", "grid": False},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": measure.title,
                "scale": {"zero": False, "nice": True},
                "axis": {"format": measure.axis_format, "tickCount": 5},
            },
            "color": {
                "field": "run",
                "type": "nominal",
                "scale": {"domain": names},
                "legend": {
                    "orient": "bottom",
                    "columns": 1,
                    "title": None,
                    "symbolType": "stroke",
                    "labelLimit": 440,
                },
            },
            "strokeDash": {
                "field": "set",
                "type": "nominal",
                "scale": {"domain": [charts.VALIDATION, charts.TRAINING], "range": [[1, 0], [4, 3]]},
                "legend": None,
            },
            "tooltip": [
                {"field": "run", "type": "nominal"},
                {"field": "set", "type": "nominal", "title": "images"},
                {"field": "epoch", "type": "quantitative", "title": "epoch", "format": ".1~f"},
                {"field": "value", "type": "quantitative", "title": measure.title, "format": measure.format},
            ],
        },
    }
