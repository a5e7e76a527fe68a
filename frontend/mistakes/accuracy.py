"""How many are wrong, and how sure that number is: in figures, and as an interval on a scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st
from digits.client.records import Evaluation

from frontend import wording


@dataclass(frozen=True)
class Measured:
    """An accuracy with its 95 % interval, all in [0, 1]; `name` says whose it is and on what."""

    name: str
    share: float
    low: float
    high: float


def headline(evaluation: Evaluation) -> None:
    """How many are wrong, with and without those whose label a person holds for wrong."""
    low, high = evaluation.accuracy_low * 100, evaluation.accuracy_high * 100
    without = without_marked(evaluation)
    said = ""
    if without is not None:
        marked = wording.count(evaluation.mislabelled, "digit")
        said = (
            f'<p class="lead">Without the {marked} marked as labelled wrongly: '
            f"{wording.percent(without.share, 2)} right, "
            f"95 % interval {without.low * 100:.2f}–{without.high * 100:.2f} %</p>"
        )
    st.html(
        f'<p class="mistakes-headline"><span>{evaluation.misclassified:,}</span> '
        f"of {evaluation.images:,} wrong</p>"
        f'<p class="lead">{wording.percent(evaluation.accuracy, 2)} right, '
        f"95 % interval {low:.2f}–{high:.2f} % · mean loss {evaluation.loss:.4f} nats · "
        f"measured {wording.ago(evaluation.create_time)}</p>{said}"
    )


def with_all(evaluation: Evaluation, name: str) -> Measured:
    """The accuracy on all images."""
    return Measured(name, evaluation.accuracy, evaluation.accuracy_low, evaluation.accuracy_high)


def without_marked(evaluation: Evaluation) -> Measured | None:
    """The accuracy without the marked images, or None when none is marked."""
    share = evaluation.accuracy_without_mislabelled
    low, high = evaluation.accuracy_without_mislabelled_low, evaluation.accuracy_without_mislabelled_high
    if share is None or low is None or high is None:
        return None
    return Measured(f"Without the {evaluation.mislabelled:,} marked", share, low, high)


def scale_html(measured: Sequence[Measured], waiting: str = "") -> str:
    """Accuracies below one another, on one scale from the lowest interval's end to 100 %.

    `waiting` is a last line that has no figure yet.
    """
    lowest = min(each.low for each in measured)
    span = max(1.0 - lowest, 1e-6)

    def place(share: float) -> float:
        return (share - lowest) / span * 100

    rows = "".join(
        f'<tr><th scope="row">{escape(each.name)}</th><td><b>{wording.percent(each.share, 2)}</b></td>'
        f"<td>{each.low * 100:.2f}–{each.high * 100:.2f} %</td>"
        f'<td class="scale"><div aria-hidden="true"><i style="left:{place(each.low):.1f}%;'
        f'width:{place(each.high) - place(each.low):.1f}%"></i>'
        f'<b style="left:{place(each.share):.1f}%"></b></div></td></tr>'
        for each in measured
    )
    if waiting:
        rows += f'<tr><td colspan="4" class="is-waiting">{escape(waiting)}</td></tr>'
    return (
        '<table class="accuracies"><thead><tr><th scope="col"></th><th scope="col">Right</th>'
        f'<th scope="col">95 % interval</th><th></th></tr></thead><tbody>{rows}</tbody></table>'
    )
