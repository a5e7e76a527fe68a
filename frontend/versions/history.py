"""What answered when, and the one click back."""

from __future__ import annotations

from datetime import datetime
from html import escape

import streamlit as st
from digits.client.choices import DeploymentAction
from digits.client.errors import ClientError
from digits.client.records import Deployment, Deployments

from frontend import connection, style, wording
from frontend.versions import actions

PAGE_SIZE = 8

_KNOWN = "known-deployments"
_SHOWN = "deployments-shown"


def history_now() -> tuple[Deployments | None, str]:
    """The newest entries, those seen last while the server is away, and why there are none otherwise."""
    limit: int = st.session_state.setdefault(_SHOWN, PAGE_SIZE)
    client = connection.client()
    try:
        page = client.list_deployments(page_size=min(limit, 100))
        while page.next_page_token and len(page.deployments) < limit:
            rest = client.list_deployments(page_size=100, page_token=page.next_page_token)
            entries = page.deployments + rest.deployments
            page = Deployments(entries, rest.next_page_token, rest.total_size, rest.rollback_version)
    except ClientError as error:
        connection.note(error)
        return st.session_state.get(_KNOWN), error.message
    st.session_state[_KNOWN] = page
    return page, ""


def roll_back_panel(history: Deployments, deployed: int, *, can_deploy: bool) -> None:
    """Which version answers, since when and why, and the click that brings the one before back."""
    before = history.rollback_version
    if not before or not deployed:
        return
    with st.container(
        key="roll-back", border=True, horizontal=True, vertical_alignment="center", gap="medium"
    ):
        st.html(_answering_html(history, deployed, before))
        st.button(
            f"Roll back to version {before}",
            icon=":material/undo:",
            key="roll-back-now",
            on_click=actions.roll_back,
            args=(before, deployed),
            disabled=not can_deploy,
        )


def show(history: Deployments | None, fault: str) -> None:
    """The list of what was deployed, rolled back, undeployed and deleted."""
    st.subheader("What answered when")
    if history is None:
        style.small_print(wording.sentence(fault))
        return
    rows = "".join(map(_row_html, history.deployments))
    st.html(
        '<table class="history"><thead><tr><th scope="col">When</th><th scope="col">What</th>'
        f'<th scope="col">Why</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    if earlier := history.total_size - len(history.deployments):
        st.button(f"Show earlier ({earlier:,})", key="history-more", on_click=_show_earlier)


def words(entry: Deployment) -> str:
    """What happened, in a sentence."""
    number, before = entry.model_version, entry.previous_version
    match entry.action:
        case DeploymentAction.DELETED:
            return f"Version {number} was deleted"
        case DeploymentAction.UNDEPLOYED:
            return f"Version {number} stopped answering, and no other took its place"
        case DeploymentAction.ROLLED_BACK:
            return f"Rolled back from version {before} to version {number}"
        case DeploymentAction.DEPLOYED if before:
            return f"Version {number} took over from version {before}"
        case _:
            return f"Version {number} began to answer"


def _answering_html(history: Deployments, deployed: int, before: int) -> str:
    newest = next((one for one in history.deployments if one.action is not DeploymentAction.DELETED), None)
    since = ""
    if newest is not None and newest.model_version == deployed:
        how = "Rolled back to" if newest.action is DeploymentAction.ROLLED_BACK else "Deployed"
        since = f" {how} {wording.ago(newest.create_time)}: {escape(newest.cause)}."
    return (
        f'<div class="answering"><div><b>Version {deployed} answers.</b>{since}</div>'
        f'<div class="small-print">Version {before} did before. Rolled back, it answers from the next '
        f"prediction on; version {deployed} stays here.</div></div>"
    )


def _row_html(entry: Deployment) -> str:
    return (
        f'<tr><td><time datetime="{entry.create_time.isoformat()}">{_moment(entry.create_time)}</time></td>'
        f"<td>{escape(words(entry))}</td><td>{escape(wording.sentence(entry.cause))}</td></tr>"
    )


def _moment(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def _show_earlier() -> None:
    st.session_state[_SHOWN] += 5 * PAGE_SIZE
