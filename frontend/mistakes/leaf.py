"""From the opened digit to the one before or after it, by two buttons and by the arrow keys.

The browser adds up what is pressed and reports where that leads. Of two clicks on a button of Streamlit that
wait for the same run only one is delivered: on a busy machine a key would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

_TAKEN = "{}-taken"


def leaf(number: int, total: int, *, key: str, on_turn: Callable[[int], None]) -> None:
    """Show which digit of how many is open. `on_turn` gets the number, from 1, of the one that is wanted."""
    taken = _TAKEN.format(key)

    def turned() -> None:
        wanted = st.session_state[key]["wanted"]
        # A report that was still on its way when the digit was closed opens nothing again.
        if wanted and wanted["press"] > st.session_state.get(taken, 0):
            st.session_state[taken] = wanted["press"]
            on_turn(int(wanted["number"]))

    _mount(
        key=key,
        data={"number": number, "total": total, "taken": st.session_state.get(taken, 0)},
        default={"wanted": None},
        on_wanted_change=turned,
    )


_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "digit_leaf",
    html='<div class="leaf"></div>',
    css=(_HERE / "leaf.css").read_text("utf-8"),
    js=(_HERE / "leaf.js").read_text("utf-8"),
)
