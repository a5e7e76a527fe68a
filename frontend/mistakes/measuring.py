"""Measuring a version on a data set for the first time: a button, the wait, a refusal in its own words."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from digits.client.choices import Dataset, EvaluationState
from digits.client.errors import ClientError, Refused, ServerUnavailable
from digits.client.records import Evaluation

from frontend import connection, style, wording

POLL_S = 0.5
NOT_MEASURED = "EVALUATION_NOT_FOUND"


def find(version: int, dataset: Dataset) -> Evaluation | None:
    """The newest evaluation of a version on a data set, None where there is none. Raises ClientError."""
    try:
        return connection.client().get_evaluation(model_version=version, dataset=dataset)
    except Refused as error:
        if error.reason == NOT_MEASURED:
            return None
        raise


def panel(version: int, dataset: Dataset) -> None:
    """Offer to measure; while it is measured, wait and run the page again when it is done."""
    key = f"measuring_{version}_{dataset.name}"
    if key in st.session_state:
        _wait(key)
        return
    if refusal := st.session_state.get(f"{key}_refusal"):
        style.notice(refusal)
        return
    if failure := st.session_state.get(f"{key}_failure"):
        style.wrong(failure)
    style.empty(
        f"Version {version} was not measured on the {wording.DATASETS[dataset]} yet.",
        "Measuring reads every image of the set once; it takes a few seconds.",
    )
    st.button(
        "Measure it", type="primary", key=f"{key}_button", on_click=_start, args=(key, version, dataset)
    )


def _start(key: str, version: int, dataset: Dataset) -> None:
    st.session_state.pop(f"{key}_failure", None)
    try:
        st.session_state[key] = connection.client().evaluate(dataset, version)
    except Refused as error:
        # Some refusals pass, such as digits that are still being prepared; being trained on them does not.
        kind = "refusal" if error.retry_after_s is None else "failure"
        st.session_state[f"{key}_{kind}"] = wording.sentence(error.message)
    except ClientError as error:
        connection.note(error)
        st.session_state[f"{key}_failure"] = error.message


@st.fragment(run_every=POLL_S)
def _wait(key: str) -> None:
    started: Evaluation | None = st.session_state.get(key)
    if started is None:
        return
    now = started
    try:
        now = connection.client().get_evaluation(started.evaluation_id)
    except ServerUnavailable as error:
        connection.note(error)
    except ClientError as error:
        # A server that was restarted in between may not know it any more.
        del st.session_state[key]
        st.session_state[f"{key}_failure"] = error.message
        st.rerun()
    if now.state is not EvaluationState.RUNNING:
        del st.session_state[key]
        if now.state is EvaluationState.FAILED:
            st.session_state[f"{key}_failure"] = now.failure_reason
        st.rerun()
    waited_s = max(0.0, (datetime.now(UTC) - started.create_time).total_seconds())
    name = wording.DATASETS[started.dataset]
    # Without a value the bar moves to and fro: the server tells that it measures, not how far it is.
    st.html(
        f'<p role="status" style="margin:0 0 .3rem">Measuring version {started.model_version} on the {name}: '
        f'{wording.duration(waited_s)} so far</p><progress style="width:100%;accent-color:var(--accent)" '
        'aria-label="Measuring"></progress>'
    )
