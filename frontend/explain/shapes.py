"""The shapes that the small plots share: curves, and pictures beside one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
"""A Vega-Lite specification."""
Rows = list[dict[str, Any]]

HEIGHT_PX = 210


def lines(
    curves: Mapping[str, Sequence[float]],
    *,
    x_title: str,
    y_title: str,
    xs: Sequence[float] | None = None,
) -> Spec:
    """Named curves over the same x, by default 0, 1, 2, …"""
    rows = [
        {"x": x, "y": y, "name": name}
        for name, ys in curves.items()
        for x, y in zip(range(len(ys)) if xs is None else xs, ys, strict=True)
    ]
    return {
        "data": {"values": rows},
        "height": HEIGHT_PX,
        "mark": {"type": "line"},
        "encoding": {
            "x": {
                "field": "x",
                "type": "quantitative",
                "title": x_title,
                "axis": {"tickCount": 5, "grid": False},
            },
            "y": {"field": "y", "type": "quantitative", "title": y_title, "axis": {"tickCount": 4}},
            "color": colour(curves),
        },
    }


def panels(rows: Rows, by: str, order: Sequence[str], *, size: tuple[int, int], spec: Spec) -> Spec:
    """The same small picture beside itself, once for each value of the field `by`."""
    width, height = size
    return {
        "data": {"values": rows},
        "facet": {
            "column": {"field": by, "type": "nominal", "sort": list(order), "title": None, "spacing": 8}
        },
        "spec": {"width": width, "height": height, **spec},
    }


def colour(names: Iterable[str]) -> Spec:
    """A colour for each value of the field `name`, with a legend above."""
    return {
        "field": "name",
        "type": "nominal",
        "scale": {"domain": list(names)},
        "legend": {"orient": "top", "title": None, "symbolType": "stroke", "offset": 4},
    }


def hidden_axis(field: str, domain: Sequence[float]) -> Spec:
    """A field as a place, without an axis."""
    return {
        "field": field,
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": list(domain), "nice": False},
    }
