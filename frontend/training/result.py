"""What a run has become: its version, how that did at the gate, deployed or a candidate, and the way back."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from digits.client.errors import ClientError
from digits.client.records import Evaluation, GateReport, Model, Training

from frontend import connection, style, wording
from frontend.verdict import gate_html, verdict

FAULT = "train_run_fault"
"""In the session: what went wrong with a click, to be shown with the run."""
_DEPLOYED = "train_deployed_now"


def show(run: Training, *, is_brief: bool = False) -> None:
    """Show the version that a run has made, how it did at the gate, and what can be done with it.

    `is_brief`: what counts is whether it answers now, and the way back.
    """
    client = connection.client()
    try:
        model: Model | None = client.get_model(run.model_version)
        rollback_version = client.list_deployments(page_size=1).rollback_version
    except ClientError as error:
        connection.note(error)
        model, rollback_version = None, 0
    is_deployed = model is not None and model.is_deployed
    tests = tests_of(run.gate, model)
    if run.gate is None or not is_brief or tests is None:
        (style.small_print if is_brief else style.done)(_measured(run, model))
    if run.gate is not None:
        say = style.done if run.gate.passed and is_brief else style.notice
        say(verdict(run.gate, run.model_version, is_deployed=is_deployed))
        st.html(gate_html(run.gate, run.model_version, tests))
    with st.container(horizontal=True):
        kind: Literal["primary", "secondary"] = "secondary" if is_brief else "primary"
        if st.button("Draw with it", type=kind, icon=":material/draw:", key="train_draw"):
            st.session_state["version"] = run.model_version
            st.switch_page("app_pages/draw.py")
        if not is_brief and st.button("See its mistakes", icon=":material/grid_view:", key="train_mistakes"):
            st.switch_page("app_pages/mistakes.py", query_params={"version": str(run.model_version)})
        _deploy_buttons(run, model, rollback_version, is_brief=is_brief)


def was_deployed() -> bool:
    """Whether a click has changed which version answers: what else is on the page must hear of it. Once."""
    return bool(st.session_state.pop(_DEPLOYED, False))


def _measured(run: Training, model: Model | None) -> str:
    """How well the version reads its own test set, in a sentence."""
    said = f"Version {run.model_version} is ready"
    if model is None or model.evaluation is None:
        return said + "."
    return (
        f"{said}: {wording.accuracy(model.evaluation)} of {wording.count(model.evaluation.images, 'image')} "
        f"of the {wording.DATASETS[model.evaluation.dataset]} read correctly."
    )


def tests_of(gate: GateReport | None, model: Model | None) -> tuple[Evaluation, Evaluation] | None:
    """How the serving version and the new one did on one test set; None without both figures."""
    if gate is None or not gate.serving_version or model is None or model.evaluation is None:
        return None
    after = model.evaluation
    try:
        before = connection.client().get_model(gate.serving_version).evaluation
    except ClientError as error:
        connection.note(error)
        return None
    return (before, after) if before and before.dataset is after.dataset else None


def _deploy_buttons(run: Training, model: Model | None, rollback_version: int, *, is_brief: bool) -> None:
    """Deploy the version, whatever the gate said, or go back to the one before."""
    is_deployed = model is not None and model.is_deployed
    is_held = run.gate is not None and not run.gate.passed
    if not is_deployed or not is_brief:
        st.button(
            "Deployed" if is_deployed else "Deploy anyway" if is_held else "Deploy it",
            icon=":material/check:" if is_deployed else ":material/publish:",
            disabled=is_deployed or model is None,
            on_click=deploy,
            args=(run.model_version, f"Deployed by hand after the run {run.training_id}"),
            key="train_deploy_now",
        )
    if is_deployed and rollback_version:
        st.button(
            f"Roll back to version {rollback_version}",
            icon=":material/undo:",
            on_click=deploy,
            args=(rollback_version, f"Rolled back from version {run.model_version}"),
            key="train_roll_back",
        )


def deploy(version: int, cause: str) -> None:
    """Deploy a version; what the server says against it is kept as FAULT."""
    try:
        connection.client().deploy_model(version, cause=cause)
    except ClientError as error:
        connection.note(error)
        st.session_state[FAULT] = wording.sentence(error.message)
    else:
        st.session_state[_DEPLOYED] = True
