"""The learning curves of two versions side by side, on the same scales."""

from __future__ import annotations

from typing import Any

import streamlit as st
from digits.client.errors import Refused
from digits.client.records import Model, Training

from frontend import charts, connection, style

HEIGHT_PX = 220


def side_by_side(base: Model, candidate: Model) -> None:
    """Show how each was trained, where it was trained on this server. Raises ClientError."""
    st.subheader("How they learned")
    runs = [(model, _run(model)) for model in (base, candidate)]
    for (model, run), column in zip(runs, st.columns(2, gap="large"), strict=True):
        with column:
            style.lead(f"Version {model.model_version} · {model.provenance.recipe}")
            if run is None:
                style.empty("No learning curve.", _why(model))
                continue
            for measure in (charts.ACCURACY, charts.LOSS):
                rows = charts.curve_rows(run, measure)
                st.vega_lite_chart(
                    {name: [row[name] for row in rows] for name in ("epoch", "value", "set")},
                    _spec(run, measure, [other for _, other in runs if other is not None]),
                    width="stretch",
                    height=HEIGHT_PX,
                    key=f"mistakes_curve_{column_name(model, base)}_{measure.field}",
                    alt=charts.curve_alt(rows, measure),
                )


def column_name(model: Model, base: Model) -> str:
    """The side of a version, for the keys of its charts."""
    return "base" if model is base else "candidate"


def domain(runs: list[Training], measure: charts.Measure) -> list[float]:
    """From the smallest to the largest value of all runs, so that their curves share one scale."""
    values = [row["value"] for run in runs for row in charts.curve_rows(run, measure)]
    low, high = min(values), max(values)
    room = (high - low or high or 1.0) * 0.05
    return [low - room, high + room]


def _spec(run: Training, measure: charts.Measure, runs: list[Training]) -> dict[str, Any]:
    epochs = max(len(each.history) for each in runs)
    is_validated = any(each.validation_loss is not None for each in run.history)
    spec = charts.curve_spec(epochs, measure, is_validated=is_validated)
    spec["encoding"]["y"]["scale"] = {"domain": domain(runs, measure), "nice": False, "clamp": True}
    return spec


def _run(model: Model) -> Training | None:
    """The run that made a version, None where there was none, or it has no finished epoch."""
    if not model.provenance.training_id:
        return None
    try:
        run = connection.client().get_training(model.provenance.training_id)
    except Refused:
        return None  # The version outlives its run.
    return run if run.history else None


def _why(model: Model) -> str:
    if model.is_shipped:
        return "This version came with the software; it was not trained here."
    return "Its training run is not on this server any more."
