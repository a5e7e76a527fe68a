"""Models: every version with what it was made from and how well it reads, and which of them answers."""

from __future__ import annotations

import streamlit as st

from frontend import connection, style, wording
from frontend.errors import ClientError
from frontend.model_card import card_html, details_html
from frontend.records import Model, Models

PAGE_SIZE = 20
_KNOWN = "known-versions"
_RESULT = "deploy-result"


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
    if not versions.models:
        style.empty("No version yet", "Train one: it takes a minute, and appears here when it is done.")
        st.page_link("app_pages/train.py", label="Train a model", icon=":material/arrow_forward:")
        return
    for model in versions.models:
        show(model, versions.models, can_deploy=is_current)
    if versions.total_size > len(versions.models):
        older = versions.total_size - len(versions.models)
        st.button(f"Show older ({older})", on_click=_show_older)


def versions_now() -> tuple[Models | None, bool]:
    """The versions, newest first, and whether they are fresh: those seen last while the server is away."""
    limit: int = st.session_state.setdefault("versions-shown", PAGE_SIZE)
    client = connection.client()
    try:
        page = client.list_models(page_size=min(limit, 100))
        while page.next_page_token and len(page.models) < limit:
            rest = client.list_models(page_size=100, page_token=page.next_page_token)
            page = Models(page.models + rest.models, rest.next_page_token, rest.total_size)
    except ClientError as error:
        connection.note(error)
        return st.session_state.get(_KNOWN), False
    st.session_state[_KNOWN] = page
    return page, True


def show(model: Model, beside: tuple[Model, ...], *, can_deploy: bool) -> None:
    """One version as a card: the summary, its button, and what lies behind it."""
    number = model.model_version
    with st.container(border=True, key=f"model-{number}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(card_html(model, beside))
            if model.is_deployed:
                st.html('<span class="badge is-deployed">Deployed</span>', width="content")
            else:
                st.button(
                    "Deploy",
                    key=f"deploy-{number}",
                    help=f"Let version {number} answer from now on",
                    on_click=deploy,
                    args=(number,),
                    disabled=not can_deploy,
                )
        say_result(number)
        with st.expander(f"Details of version {number}", type="compact"):
            st.html(details_html(model))


def deploy(number: int) -> None:
    """Deploy a version, and keep what came of it for its card."""
    try:
        connection.client().deploy_model(number)
    except ClientError as error:
        connection.note(error)
        st.session_state[_RESULT] = (number, False, error.message)
    else:
        st.session_state[_RESULT] = (number, True, f"Version {number} answers from now on.")


def say_result(number: int) -> None:
    """What came of the last deployment, on the card of its version."""
    version, was_done, message = st.session_state.get(_RESULT, (0, False, ""))
    if version == number:
        say = style.done if was_done else style.wrong
        say(wording.sentence(message))


def _show_older() -> None:
    st.session_state["versions-shown"] += PAGE_SIZE


if st.session_state["has_arrived"]:
    # After a look at another page it is old news.
    st.session_state.pop(_RESULT, None)
page()
