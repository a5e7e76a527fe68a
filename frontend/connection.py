"""The page's one connection to the server, and the banner that tells when it is lost.

The banner is a fragment that every page shows and that polls by itself. When the server comes back, it reruns
the page once: whatever a visitor drew or chose is in the session and gets its answer then, without a reload.
"""

from __future__ import annotations

import os
from enum import Enum, auto
from html import escape

import streamlit as st
from digits.client import Client, Environment
from digits.client.errors import ClientError, ServerUnavailable

from frontend.client import connect

POLL_S = 2.0
PING_DEADLINE_S = 1.5
# One slow answer happens on a busy machine; two in a row are worth a word.
SLOW_ANSWERS_BEFORE_A_WORD = 2

_STATE = "server_state"
_SLOW = "server_slow_answers"


class State(Enum):
    """What the last poll, or the last failed call, found."""

    READY = auto()
    PREPARING = auto()  # Answers, but its digits are still being read or downloaded.
    SLOW = auto()
    LOST = auto()


def environment() -> Environment:
    """The server's address, and what it takes to talk to it."""
    return Environment.read(os.environ)


@st.cache_resource(show_spinner=False)
def _client(server: Environment) -> Client:
    return connect(server)


def client() -> Client:
    """The client that all visitors of this process share."""
    return _client(environment())


def note(error: ClientError) -> None:
    """Remember that a call found no server, so that the page is run again as soon as there is one."""
    if isinstance(error, ServerUnavailable):
        st.session_state[_STATE] = State.SLOW if error.is_slow else State.LOST


@st.fragment(run_every=POLL_S)
def banner() -> None:
    """Tell when the server is away, and rerun the page when it is back or its data are ready."""
    before = st.session_state.get(_STATE, State.READY)
    try:
        now = _poll()
    except (OSError, ValueError):
        st.rerun()  # A file of the page's own cannot be used any more: the frame says which.
    st.session_state[_STATE] = now
    st.html(_banner_html(now))
    is_back = before in (State.LOST, State.SLOW) and now in (State.READY, State.PREPARING)
    if is_back or (before is State.PREPARING and now is State.READY):
        st.rerun()


def _poll() -> State:
    try:
        datasets = client().list_datasets(timeout_s=PING_DEADLINE_S)
    except ServerUnavailable as error:
        if not error.is_slow:
            return State.LOST
        st.session_state[_SLOW] = st.session_state.get(_SLOW, 0) + 1
        before: State = st.session_state.get(_STATE, State.READY)
        return State.SLOW if st.session_state[_SLOW] >= SLOW_ANSWERS_BEFORE_A_WORD else before
    except ClientError:
        return State.READY  # It answers; what it refuses is the page's to tell.
    st.session_state[_SLOW] = 0
    return State.PREPARING if datasets.data_progress else State.READY


def _banner_html(state: State) -> str:
    # The element stays in place without text, so that screen readers announce what comes into it.
    text = ""
    where = f"<b>{escape(environment().address)}</b>"
    if state is State.LOST:
        text = (
            f"No server is answering at {where}. Start it with <code>make demo</code> or "
            "<code>docker compose up</code>. Your work is kept, and this page goes on by itself."
        )
    elif state is State.SLOW:
        text = (
            f"The server at {where} takes long to answer. Your work is kept, and this page goes on by itself."
        )
    hidden = "" if text else " hidden"
    return f'<div role="status" aria-live="polite"><div class="connection-banner"{hidden}>{text}</div></div>'
