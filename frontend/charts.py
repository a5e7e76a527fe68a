"""Learning curves that grow while a run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from digits.client.records import Training

Row = dict[str, Any]

TRAINING, VALIDATION = "training", "validation"


@dataclass(frozen=True)
class Measure:
    """What a curve shows: `field` is its name in EpochMetrics, `title` names the axis and its unit."""

    field: str
    title: str
    format: str
    axis_format: str


LOSS = Measure("loss", "Loss (nats)", ".4f", "~g")
ACCURACY = Measure("accuracy", "Accuracy", ".2%", "~%")


def curve_rows(training: Training, measure: Measure) -> list[Row]:
    """The points of a run's curve, oldest first: two for each finished epoch, one for the present."""
    rows: list[Row] = []
    for epoch in training.history:
        rows.append(_row(float(epoch.epoch), getattr(epoch, measure.field), TRAINING))
        validation = getattr(epoch, f"validation_{measure.field}")
        if validation is not None:
            rows.append(_row(float(epoch.epoch), validation, VALIDATION))
    now = training.progress
    is_inside_epoch = now and now.batch and now.batches_per_epoch and now.epoch > len(training.history)
    if now and is_inside_epoch and not training.state.is_final:
        place = now.epoch - 1 + now.batch / now.batches_per_epoch
        rows.append(_row(place, getattr(now, measure.field), TRAINING))
    return rows


def learning_curve(training: Training, measure: Measure, *, is_validated: bool, key: str) -> None:
    """Show a run's curve of one measure over all its epochs, as far as it has come.

    The specification stays the same while a run goes on and only the data change, so that the browser moves
    the lines instead of building the chart anew each second.
    """
    rows = curve_rows(training, measure)
    table = {name: [row[name] for row in rows] for name in ("epoch", "value", "set")}
    st.vega_lite_chart(
        table,
        curve_spec(training.options.epochs or 1, measure, is_validated=is_validated),
        width="stretch",
        height=250,
        key=key,
        alt=curve_alt(rows, measure),
    )


def curve_spec(epochs: int, measure: Measure, *, is_validated: bool) -> Row:
    """The Vega-Lite specification of a learning curve over `epochs` epochs, without its data."""
    return {
        "encoding": {
            "x": {
                "field": "epoch",
                "type": "quantitative",
                "title": "Epoch",
                "scale": {"domain": [0, max(1, epochs)], "nice": False},
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
                "field": "set",
                "type": "nominal",
                "scale": {"domain": [VALIDATION, TRAINING]},
                "legend": {
                    "orient": "top",
                    "title": None,
                    "symbolType": "stroke",
                    "offset": 4,
                    "values": [VALIDATION, TRAINING] if is_validated else [TRAINING],
                },
            },
            "tooltip": [
                {"field": "set", "type": "nominal", "title": "images"},
                {"field": "epoch", "type": "quantitative", "title": "epoch", "format": ".1~f"},
                {"field": "value", "type": "quantitative", "title": measure.title, "format": measure.format},
            ],
        },
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2}},
            {"mark": {"type": "point", "size": 28, "filled": True, "opacity": 1}},
        ],
    }


def curve_alt(rows: Sequence[Row], measure: Measure) -> str:
    """The curve in a sentence, for people who do not see it."""
    ends = {row["set"]: row for row in rows}
    if not ends:
        return f"{measure.title}: nothing to show yet."
    said = [
        f"{name} {row['value']:{measure.format}} after {row['epoch']:.1f} epochs"
        for name, row in ends.items()
    ]
    return f"{measure.title}: " + ", ".join(said) + "."


def _row(epoch: float, value: float, images: str) -> Row:
    return {"epoch": epoch, "value": value, "set": images}
