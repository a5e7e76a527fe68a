"""How well each digit is read, as a table whose rows choose what the gallery shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from digits.client.records import Evaluation

from frontend import wording
from frontend.mistakes.interval import wilson


def class_table(
    evaluation: Evaluation, *, chosen: int | None, key: str, on_pick: Callable[[int | None], None]
) -> None:
    """Show precision, recall and F1 of each digit; the weakest one stands out.

    `on_pick` gets the digit of a clicked row before the next run, None when it was chosen already.
    """

    def picked() -> None:
        on_pick(st.session_state[key]["picked"][0])

    _mount(key=key, data={"rows": rows(evaluation), "chosen": chosen}, on_picked_change=picked)


def rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The table's rows: shares with their 95 % intervals, which the counts of the confusion matrix give."""
    weakest = min(evaluation.per_class, key=lambda each: each.f1, default=None)
    read_as = evaluation.confusion_matrix.sum(axis=0)
    return [
        {
            "digit": each.digit,
            "precision": wording.percent(each.precision),
            "precisionInterval": _interval(each.precision, int(read_as[each.digit])),
            "recall": wording.percent(each.recall),
            "recallInterval": _interval(each.recall, each.support),
            "f1": wording.percent(each.f1),
            "support": f"{each.support:,}",
            "isWeakest": each is weakest,
        }
        for each in evaluation.per_class
    ]


def _interval(share: float, images: int) -> str:
    if not images:
        return "no images"
    low, high = wilson(round(share * images), images)
    return f"{low * 100:.1f}–{high * 100:.1f}"


_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "digit_class_table",
    html="<table><thead></thead><tbody></tbody><caption></caption></table>",
    css=(_HERE / "class_table.css").read_text("utf-8"),
    js=(_HERE / "class_table.js").read_text("utf-8"),
)
