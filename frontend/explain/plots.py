"""Small plots behind the explanations, as Vega-Lite specifications with their data.

Each is worked out once, from a formula or a toy problem, never from a real run. Colours are the theme's own,
so that the plots fit a light and a dark page alike.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from frontend.explain import shapes, toys
from frontend.explain.shapes import Spec

GREY = "#8a8375"
"""Readable on paper and on the dark page."""


@cache
def normalisation() -> Spec:
    """The loss of one unit over its first steps, with inputs of 0 to 1 and of 0 to 255."""
    return shapes.lines(
        {"0 to 1": toys.losses_by_pixel_scale(1.0), "0 to 255": toys.losses_by_pixel_scale(255.0)},
        x_title="step",
        y_title="loss",
    )


@cache
def architecture() -> Spec:
    """Which pixels one unit of the first layer looks at, in an MLP and in a CNN."""
    rows = [
        {"x": x, "y": y, "network": network, "ink": 0.85 if network == "MLP" or in_window else 0.07}
        for network in ("MLP", "CNN")
        for x in range(14)
        for y in range(14)
        for in_window in [x in (4, 5, 6) and y in (3, 4, 5)]
    ]
    return shapes.panels(
        rows,
        "network",
        ["MLP", "CNN"],
        size=(130, 130),
        spec={
            "mark": {"type": "rect", "stroke": GREY, "strokeOpacity": 0.4},
            "encoding": {
                "x": {"field": "x", "type": "ordinal", "axis": None},
                "y": {"field": "y", "type": "ordinal", "axis": None},
                "opacity": {"field": "ink", "type": "quantitative", "scale": None},
            },
        },
    )


@cache
def activation() -> Spec:
    """relu and sigmoid."""
    sums = np.linspace(-4, 4, 65)
    return shapes.lines(
        {"relu": np.maximum(0, sums).tolist(), "sigmoid": toys.sigmoid(sums).tolist()},
        x_title="sum of the inputs",
        y_title="output",
        xs=sums.tolist(),
    )


@cache
def softmax() -> Spec:
    """Ten sums, and the probabilities that softmax makes of them."""
    sums = np.array([0.3, -2.0, 1.1, 2.0, 3.1, -0.4, -3.0, 0.8, 0.2, 4.2])
    shares = np.exp(sums) / np.exp(sums).sum()
    rows = [
        {"digit": digit, "share": float(share), "sum": f"{total:+.1f}"}
        for digit, (share, total) in enumerate(zip(shares, sums, strict=True))
    ]
    return {
        "data": {"values": rows},
        "height": shapes.HEIGHT_PX,
        "encoding": {
            "x": {
                "field": "digit",
                "type": "ordinal",
                "title": "digit, its sum above the bar",
                "axis": {"labelAngle": 0},
            },
            "y": {
                "field": "share",
                "type": "quantitative",
                "title": "probability",
                "axis": {"format": "%", "tickCount": 4},
                "scale": {"domain": [0, 0.8]},
            },
        },
        "layer": [
            {"mark": {"type": "bar", "cornerRadiusEnd": 2}},
            {
                "mark": {"type": "text", "dy": -7, "fontSize": 10, "color": GREY},
                "encoding": {"text": {"field": "sum"}},
            },
        ],
    }


@cache
def cross_entropy() -> Spec:
    """The loss of one image by the probability that its true digit was given."""
    shares = np.linspace(0.01, 1, 100)
    spec = shapes.lines(
        {"loss": (-np.log(shares)).tolist()},
        x_title="probability given to the true digit",
        y_title="loss (nats)",
        xs=shares.tolist(),
    )
    spec["encoding"]["x"]["axis"]["format"] = "%"
    del spec["encoding"]["color"]
    return spec


@cache
def optimizers() -> Spec:
    """Thirty steps of Adam, SGD and AdaGrad down a long, narrow bowl."""
    angles = np.linspace(0, 2 * np.pi, 60)
    rings = [
        {"x": float(4 * ring * np.cos(angle)), "y": float(1.2 * ring * np.sin(angle)), "at": at, "ring": ring}
        for ring in (0.25, 0.5, 0.75, 1.0)
        for at, angle in enumerate(angles)
    ]
    ways = {
        "Adam": toys.descend(toys.adam()),
        "SGD": toys.descend(toys.sgd()),
        "AdaGrad": toys.descend(toys.adagrad()),
    }
    steps = [
        {"x": float(x), "y": float(y), "at": at, "name": name}
        for name, way in ways.items()
        for at, (x, y) in enumerate(way)
    ]
    return {
        "height": shapes.HEIGHT_PX,
        "encoding": {
            "x": shapes.hidden_axis("x", [-4.3, 2.3]),
            "y": shapes.hidden_axis("y", [-1.35, 1.35]),
            "order": {"field": "at", "type": "quantitative"},
        },
        "layer": [
            {
                "data": {"values": rings},
                "mark": {"type": "line", "color": GREY, "opacity": 0.35, "strokeWidth": 1, "clip": True},
                "encoding": {"detail": {"field": "ring", "type": "nominal"}},
            },
            {
                "data": {"values": steps},
                "mark": {
                    "type": "line",
                    "strokeWidth": 1.5,
                    "clip": True,
                    "point": {"size": 14, "filled": True},
                },
                "encoding": {"color": shapes.colour(ways)},
            },
        ],
    }


@cache
def learning_rate() -> Spec:
    """The height on a parabola over ten steps of plain descent, with three rates."""
    rates = {"fitting": 0.35, "too large": 1.05, "too small": 0.03}
    return shapes.lines(
        {name: toys.parabola_heights(rate) for name, rate in rates.items()}, x_title="step", y_title="loss"
    )


@cache
def epochs() -> Spec:
    """How loss typically goes on images that were learned and on images that were kept aside."""
    passes = np.arange(1, 21)
    learned = 0.45 * np.exp(-passes / 4)
    kept = 0.4 * np.exp(-passes / 3) + 0.06 + 0.0009 * passes**1.8
    return shapes.lines(
        {"kept aside": kept.tolist(), "learned": learned.tolist()},
        x_title="epoch",
        y_title="loss",
        xs=passes.tolist(),
    )


@cache
def batch_size() -> Spec:
    """The loss on a toy problem, step by step, with batches of 64 and of 2."""
    return shapes.lines(
        {"64 a step": toys.line_losses(64, seed=1), "2 a step": toys.line_losses(2, seed=1)},
        x_title="step",
        y_title="loss",
    )


@cache
def seed() -> Spec:
    """The same toy run with three seeds."""
    return shapes.lines(
        {f"seed {number}": toys.line_losses(8, seed=number) for number in (1, 2, 3)},
        x_title="step",
        y_title="loss",
    )


@cache
def augmentation() -> Spec:
    """One drawn 7, and four ways in which it may come again."""
    stroke = np.array([[-0.6, 0.8], [0.6, 0.75], [0.25, 0.2], [0.0, -0.3], [-0.15, -0.9]])
    same = np.eye(2)
    turn = np.array([[np.cos(0.26), -np.sin(0.26)], [np.sin(0.26), np.cos(0.26)]])
    ways = {
        "original": (same, 5),
        "turned": (turn, 5),
        "sheared": (np.array([[1.0, 0.4], [0.0, 1.0]]), 5),
        "smaller": (0.72 * same, 5),
        "thicker": (same, 9),
    }
    rows = [
        {"x": float(x), "y": float(y), "at": at, "way": way, "width": width}
        for way, (change, width) in ways.items()
        for at, (x, y) in enumerate(stroke @ change.T)
    ]
    return shapes.panels(
        rows,
        "way",
        list(ways),
        size=(52, 72),
        spec={
            "mark": {"type": "trail"},
            "encoding": {
                "x": shapes.hidden_axis("x", [-1.3, 1.3]),
                "y": shapes.hidden_axis("y", [-1.3, 1.3]),
                "order": {"field": "at", "type": "quantitative"},
                "size": {"field": "width", "type": "quantitative", "scale": None, "legend": None},
            },
        },
    )
