"""Deploying, rolling back and deleting a version; what came of it is told where it was asked for."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from digits.client.errors import ClientError

from frontend import connection, style, wording

PAGE = 0
"""Where to tell what belongs to no card."""

_RESULT = "version-result"
_ASKED = "version-to-delete"
# For the list of what was done: others see it, too.
_BY_A_PERSON = "asked for on the Models page"


def deploy(number: int) -> None:
    """Let a version answer from now on."""
    _try(
        number,
        lambda: connection.client().deploy_model(number, cause=_BY_A_PERSON),
        f"Version {number} answers from now on.",
    )


def roll_back(number: int, left: int) -> None:
    """Let the version answer again that did before `left`."""
    _try(
        PAGE,
        lambda: connection.client().deploy_model(number, cause=_BY_A_PERSON),
        f"Version {number} answers again. Version {left} is still here, should you want it back.",
    )


def delete_button(number: int, *, can_delete: bool) -> None:
    """Offer to delete a version; it is gone after a second click, which is told what it means."""
    if st.session_state.get(_ASKED) != number:
        st.button(
            f"Delete version {number}",
            icon=":material/delete:",
            type="tertiary",
            key=f"delete-{number}",
            on_click=_ask,
            args=(number,),
            disabled=not can_delete,
        )
        return
    style.wrong(
        f"Delete version {number} for good? Its files and measurements go, and nothing brings them back. "
        "Predictions are not touched: the deployed version goes on answering."
    )
    with st.container(horizontal=True):
        st.button(
            f"Yes, delete version {number}",
            key=f"delete-now-{number}",
            on_click=_delete,
            args=(number,),
            disabled=not can_delete,
        )
        st.button("Keep it", key=f"keep-{number}", on_click=_keep)


def say_result(place: int) -> None:
    """What came of the last action, in the server's words if it was refused; `place`: a version, or PAGE."""
    where, was_done, message = st.session_state.get(_RESULT, (None, False, ""))
    if where == place:
        say = style.done if was_done else style.wrong
        say(wording.sentence(message))


def forget() -> None:
    """After a look at another page it is old news."""
    st.session_state.pop(_RESULT, None)
    st.session_state.pop(_ASKED, None)


def _ask(number: int) -> None:
    st.session_state.pop(_RESULT, None)
    st.session_state[_ASKED] = number


def _keep() -> None:
    st.session_state.pop(_ASKED, None)


def _delete(number: int) -> None:
    st.session_state.pop(_ASKED, None)
    is_gone = _try(
        number,
        lambda: connection.client().delete_model(number, cause=_BY_A_PERSON),
        f"Version {number} is deleted.",
    )
    if is_gone:
        # Its card is gone with it.
        st.session_state[_RESULT] = (PAGE, *st.session_state[_RESULT][1:])


def _try(place: int, act: Callable[[], object], done: str) -> bool:
    try:
        act()
    except ClientError as error:
        connection.note(error)
        st.session_state[_RESULT] = (place, False, error.message)
        return False
    st.session_state[_RESULT] = (place, True, done)
    return True
