"""What a version misreads: which digit is taken for which, how well each is read, and every mistake."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from digits.client.records import Evaluation, Model

from frontend import style
from frontend.confusion import confusion_matrix
from frontend.mistakes import state
from frontend.mistakes.accuracy import headline
from frontend.mistakes.browser import browse, filters
from frontend.mistakes.class_table import class_table
from frontend.mistakes.sheet import sheet
from frontend.mistakes.view import View


def misread(view: View, evaluation: Evaluation, models: Sequence[Model]) -> None:
    """The whole part. Raises ClientError."""
    headline(evaluation)
    if not evaluation.misclassified:
        style.empty("Not one mistake.", "Look at another version or another data set.")
        return
    left, right = st.columns([1, 1.2], gap="large")
    with left:
        st.subheader("Which digit is taken for which")
        confusion_matrix(
            evaluation.confusion_matrix, chosen=view.cell, key="mistakes_matrix", on_pick=state.choose
        )
    with right:
        st.subheader("The misread digits")
        filters(view)
        browse(view, models)
    left, right = st.columns([1, 1.2], gap="large")
    with left:
        st.subheader("How well each digit is read")
        is_row = view.predicted_digit is None
        class_table(
            evaluation,
            chosen=view.true_digit if is_row else None,
            key="mistakes_classes",
            on_pick=state.choose_digit,
        )
    with right:
        sheet(view, evaluation.evaluation_id)
