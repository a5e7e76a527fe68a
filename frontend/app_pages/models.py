"""Models: every version with what it was made from, how well it reads and what may be done with it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from digits.client.errors import ClientError
from digits.client.records import Model, Models

from frontend import connection, style
from frontend.model_card import card_html, details_html, gate_line
from frontend.verdict import gate_html
from frontend.versions import actions, damage, export, history

PAGE_SIZE = 20
# Of what stands at the right of each card, in pixels, so that all cards have their columns alike.
ACTION_WIDTH = 136
_KNOWN = "known-versions"


@st.fragment
def page() -> None:
    """The whole page, as a fragment: a deployment reruns nothing else."""
    st.title("Models")
    style.lead(
        "Each training leaves a version here. The deployed one answers on the Draw page and over gRPC."
    )
    versions, is_current = versions_now()
    if versions is None:
        style.empty("No versions to show yet", "They appear here as soon as the server answers.")
        return
    if not versions.models and not versions.unreadable_models:
        style.empty("No version yet", "Train one: it takes a minute, and appears here when it is done.")
        st.page_link("app_pages/train.py", label="Train a model", icon=":material/arrow_forward:")
        return
    done, fault = history.history_now()
    deployed = next((model.model_version for model in versions.models if model.is_deployed), 0)
    if done is not None:
        history.roll_back_panel(done, deployed, can_deploy=is_current)
    actions.say_result(actions.PAGE)
    for lost in versions.unreadable_models:
        damage.show_unreadable(lost, can_change=is_current)
    for model in versions.models:
        show(model, versions.models, can_change=is_current)
    if versions.total_size > len(versions.models):
        older = versions.total_size - len(versions.models)
        st.button(f"Show older ({older})", on_click=_show_older)
    history.show(done, fault)


def versions_now() -> tuple[Models | None, bool]:
    """The versions, newest first, and whether they are fresh: those seen last while the server is away."""
    limit: int = st.session_state.setdefault("versions-shown", PAGE_SIZE)
    client = connection.client()
    try:
        page = client.list_models(page_size=min(limit, 100))
        while page.next_page_token and len(page.models) < limit:
            rest = client.list_models(page_size=100, page_token=page.next_page_token)
            models = page.models + rest.models
            page = Models(models, rest.next_page_token, rest.total_size, rest.unreadable_models)
    except ClientError as error:
        connection.note(error)
        return st.session_state.get(_KNOWN), False
    st.session_state[_KNOWN] = page
    return page, True


def show(model: Model, beside: tuple[Model, ...], *, can_change: bool) -> None:
    """One version as a card: the summary, its button, how it did at the gate, and what lies behind it."""
    number = model.model_version
    is_held = model.gate is not None and not model.gate.passed
    can_answer = model.damage is None or model.damage.can_answer
    with st.container(border=True, key=f"model-{number}"):
        with st.container(horizontal=True, vertical_alignment="center", key=f"card-{number}"):
            st.html(card_html(model, beside))
            if model.is_deployed:
                st.html('<span class="badge is-deployed">Deployed</span>', width=ACTION_WIDTH)
            else:
                st.button(
                    "Deploy anyway" if is_held else "Deploy",
                    key=f"deploy-{number}",
                    help=f"Let version {number} answer from now on",
                    on_click=actions.deploy,
                    args=(number,),
                    disabled=not can_change or not can_answer,
                    width=ACTION_WIDTH,
                )
        actions.say_result(number)
        damage.say(model)
        if model.gate is not None:
            st.html(gate_line(model))
        # It keeps its state through all that comes and goes above it, and is filled when it is opened.
        details = st.expander(
            f"Details of version {number}", type="compact", key=f"details-{number}", on_change="rerun"
        )
        if details.open:
            with details:
                show_details(model, can_change=can_change)


def show_details(model: Model, *, can_change: bool) -> None:
    """Figures and provenance of a version, and what is done rarely: to export and to delete it."""
    number = model.model_version
    if model.gate is not None and (figures := gate_html(replace(model.gate, reasons=()), number)):
        st.html(f'<div class="model-gate"><h3>At the gate</h3>{figures}</div>')
    st.html(details_html(model))
    export.export_menu(number, can_fetch=can_change)
    if not model.is_deployed and not model.is_shipped:
        actions.delete_button(number, can_delete=can_change)


def _show_older() -> None:
    st.session_state["versions-shown"] += PAGE_SIZE


if st.session_state["has_arrived"]:
    actions.forget()
page()
