"""What the page says when it cannot use its own files: its token, and its certificates."""

from __future__ import annotations

import os

import streamlit as st

from frontend import connection, style

POLL_S = 2.0
SETTINGS = ("DIGITS_TOKEN_FILE", "DIGITS_TLS_CA", "DIGITS_TLS_CLIENT_CERT", "DIGITS_TLS_CLIENT_KEY")


def fault() -> str:
    """What keeps the page from talking to the server, in a sentence for a visitor; empty when nothing does.

    It names settings, and never a path or what is in a file: everybody reads it.
    """
    try:
        connection.client()
    except OSError as error:
        names = [name for name in SETTINGS if os.environ.get(name) == str(error.filename)]
        which = f"the file that {names[0]} names" if names else "one of its files"
        return f"This page cannot read {which} ({error.strerror})."
    except ValueError:
        # A token with a line break in it, a certificate without its key.
        return f"This page's settings are not right: {', '.join(SETTINGS)} or DIGITS_TOKEN."
    return ""


@st.fragment(run_every=POLL_S)
def wait() -> None:
    """Say what is wrong, and run the page as soon as it was mended."""
    wrong = fault()
    if not wrong:
        st.rerun()
    style.wrong(f"{wrong} Whoever runs it can mend that; then it goes on by itself.")
