"""How well versions read the digits: each in figures, with its interval, and how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st
from digits.client.errors import ClientError
from digits.client.records import Model, SampleAccuracy

from frontend import connection, style, wording
from frontend.my_digits import words

# More would be a table to study; the deployed version is always among them.
MOST = 6
METHOD = (
    "A version is measured only on digits that it was not trained on. By cross-validation: it was trained "
    "several times over, each time without some of the digits, which were read afterwards. "
    "Once there are 100 digits, one in five is set aside to measure with."
)


def show(models: Sequence[Model]) -> None:
    """The deployed version and the newest ones, each with how well it reads the digits."""
    shown = [model for place, model in enumerate(models) if model.is_deployed or place < MOST]
    st.subheader("How well they are read")
    try:
        accuracies = connection.client().evaluate_samples([model.model_version for model in shown])
    except ClientError as error:
        connection.note(error)
        style.notice(wording.sentence(error.message))
        return
    st.html(table_html(accuracies, {model.model_version: model for model in shown}))
    st.caption(METHOD)


def table_html(accuracies: Sequence[SampleAccuracy], models: dict[int, Model]) -> str:
    """One line for each version. Texts are escaped here."""
    rows = "".join(_row_html(each, models.get(each.model_version)) for each in accuracies)
    return f'<div class="sample-accuracy" role="list">{rows}</div>'


def _row_html(accuracy: SampleAccuracy, model: Model | None) -> str:
    low, middle, high = (
        share * 100 for share in (accuracy.accuracy_low, accuracy.accuracy, accuracy.accuracy_high)
    )
    about = [model.provenance.recipe] if model else []
    about += ["deployed"] if model and model.is_deployed else []
    figures, scale = "–", ""
    if accuracy.images:
        figures = wording.percent(accuracy.accuracy)
        scale = (
            '<div class="interval" aria-hidden="true">'
            f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i><b style="left:{middle:.1f}%"></b></div>'
            f'<div class="small-print">{accuracy.correct:,} right · '
            f"95 % interval {low:.0f}–{high:.0f} %</div>"
        )
    return (
        f'<div class="version" role="listitem"><div><b>Version {accuracy.model_version}</b> '
        f'<span>{escape(" · ".join(about))}</span></div><div class="value">{figures}</div>{scale}'
        f'<div class="small-print">{escape(words.measured(accuracy))}</div></div>'
    )
