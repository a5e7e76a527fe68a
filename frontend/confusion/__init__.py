"""The confusion matrix as a table whose cells choose what the gallery shows.

A table of real buttons, not a chart: cells are reached by keyboard, read by screen readers, sharp at any
size, and clicked without coordinates. Colour goes by the logarithm of the count, because a few pairs of
digits make most of the mistakes; the diagonal, which is right, stays out of the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

Counts = npt.NDArray[np.int64]
"""(10, 10) int64, true digit (row) x predicted digit (column)."""


@dataclass(frozen=True)
class Cell:
    """A choice in the matrix: a cell, a whole row (`predicted_digit` None) or column (`true_digit` None)."""

    true_digit: int | None
    predicted_digit: int | None


def confusion_matrix(counts: Counts, *, chosen: Cell, key: str, on_pick: Callable[[Cell], None]) -> None:
    """Show the counts; `on_pick` gets a clicked cell, row or column before the next run.

    A click on what is chosen already takes the choice back: `on_pick` gets Cell(None, None).
    """
    colours = heat(counts)

    def cell(truth: int, read: int) -> dict[str, Any]:
        count = int(counts[truth, read])
        if truth == read:
            return {"text": str(count), "kind": "right"}
        name = f"true {truth}, read {read}: {count}" if count else ""
        return {
            "text": str(count) if count else "",
            "kind": "more",
            "heat": colours[truth, read],
            "name": name,
        }

    _table(
        [[cell(truth, read) for read in range(10)] for truth in range(10)],
        chosen=chosen,
        label=summary(counts),
        caption="Rows: the true digit. Columns: what was read. Click a number to see those digits, "
        "and again to see all.",
        has_columns=True,
        key=key,
        on_pick=on_pick,
    )


def difference_matrix(
    difference: Counts, *, chosen: int | None, key: str, on_pick: Callable[[Cell], None]
) -> None:
    """Show one confusion matrix less another; `on_pick` gets a clicked row, to show that true digit only."""
    colours = heat(abs(difference))

    def cell(truth: int, read: int) -> dict[str, Any]:
        count = int(difference[truth, read])
        kind = "right" if truth == read else "more" if count > 0 else "less"
        return {"text": signed(count) if count else "", "kind": kind, "heat": colours[truth, read]}

    _table(
        [[cell(truth, read) for read in range(10)] for truth in range(10)],
        chosen=Cell(chosen, None),
        label=difference_summary(difference),
        caption="Rows: the true digit. Columns: what was read. Red: read so more often than before; blue: "
        "less often. The diagonal, in grey, is right. Click a row's digit to see only it.",
        has_columns=False,
        key=key,
        on_pick=on_pick,
    )


def heat(counts: Counts) -> npt.NDArray[np.float64]:
    """How strongly each cell is coloured, (10, 10) in [0, 1]: 0 on the diagonal, logarithmic beside it."""
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    largest = math.log1p(int(wrong.max(initial=0)))
    return np.log1p(wrong) / largest if largest else np.zeros(counts.shape)


def summary(counts: Counts) -> str:
    """The matrix in a sentence, for people who do not see it."""
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    if not wrong.any():
        return f"Confusion matrix of {counts.sum():,} images: all are read correctly."
    truth, read = divmod(int(wrong.argmax()), 10)
    return (
        f"Confusion matrix of {counts.sum():,} images: {wrong.sum():,} are misread, most often a {truth} as "
        f"a {read}, {wrong[truth, read]:,} times."
    )


def difference_summary(difference: Counts) -> str:
    """The difference in a sentence."""
    wrong = difference * (1 - np.eye(len(difference), dtype=np.int64))
    if not wrong.any():
        return "Difference of the confusion matrices: none."
    more, less = divmod(int(wrong.argmax()), 10), divmod(int(wrong.argmin()), 10)
    said = [
        f"a {truth} read as a {read} {abs(int(wrong[truth, read])):,} times {word} often"
        for (truth, read), word in ((less, "less"), (more, "more"))
        if (wrong[truth, read] > 0) == (word == "more") and wrong[truth, read]
    ]
    return f"Difference of the confusion matrices, at most: {'; '.join(said)}."


def signed(count: int) -> str:
    """3 -> "+3", -3 -> "−3"."""
    return f"+{count}" if count > 0 else f"−{-count}"


def _table(
    cells: list[list[dict[str, Any]]],
    *,
    chosen: Cell,
    label: str,
    caption: str,
    has_columns: bool,
    key: str,
    on_pick: Callable[[Cell], None],
) -> None:
    def picked() -> None:
        true_digit, predicted_digit = st.session_state[key]["picked"]
        on_pick(Cell(true_digit, predicted_digit))

    _mount(
        key=key,
        data={
            "cells": cells,
            "chosen": [chosen.true_digit, chosen.predicted_digit],
            "label": label,
            "caption": caption,
            "columns": has_columns,
        },
        on_picked_change=picked,
    )


_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "digit_confusion_matrix",
    html="<table><caption></caption><thead></thead><tbody></tbody></table>",
    css=(_HERE / "confusion.css").read_text("utf-8"),
    js=(_HERE / "confusion.js").read_text("utf-8"),
)
