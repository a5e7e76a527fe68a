"""The digits as a file: all or some to keep, and those of another place to add."""

from __future__ import annotations

import streamlit as st
from digits.client.errors import ClientError
from digits.client.records import SampleFilter

from frontend import connection, style, wording

ARCHIVE_LIMIT_MIB = 64

_ADDED, _REFUSED, _ROUND = "samples-added", "samples-refused", "samples-import-round"


def export_button(chosen: SampleFilter, number: int) -> None:
    """Offer the digits that pass a filter as a zip archive, made when it is asked for."""
    st.download_button(
        "Export" if chosen == SampleFilter() else "Export these",
        icon=":material/download:",
        help="A zip archive with the drawings as PNG files, and all arrays as samples.npz.",
        data=lambda: b"".join(connection.client().export_samples(chosen)),
        file_name="my-digits.zip",
        mime="application/zip",
        on_click="ignore",
        disabled=not number,
        key="samples-export",
    )


def import_menu() -> None:
    """Offer to add the digits of an archive, where an export is offered too."""
    with st.popover("Import", icon=":material/upload:", key="samples-import-menu"):
        upload()


def upload() -> None:
    """Take an archive, and add its digits as soon as it is there: all of them or none."""
    # The round makes a new element of it, without the file that has been added.
    number = st.session_state.setdefault(_ROUND, 0)
    file = st.file_uploader(
        "A zip archive that Export has made, of up to 64 MiB",
        type="zip",
        max_upload_size=ARCHIVE_LIMIT_MIB,
        key=f"samples-import-{number}",
    )
    if file is None:
        if refusal := st.session_state.get(_REFUSED):
            style.wrong(refusal)
        return
    forget_result()
    try:
        with st.spinner("Adding its digits …"):
            added = connection.client().import_samples(file.getvalue())
    except ClientError as error:
        connection.note(error)
        message = f"Nothing of {file.name} was added: {wording.sentence(error.message)}"
        st.session_state[_REFUSED] = message
    else:
        known = f" {wording.count(added.known, 'was', 'were')} here already." if added.known else ""
        st.session_state[_ADDED] = f"Added {wording.count(added.added, 'digit')}.{known}"
    st.session_state[_ROUND] = number + 1
    st.rerun()


def say_added() -> None:
    """What the last import has added, if it was not refused: that is told where the file was chosen."""
    if added := st.session_state.get(_ADDED):
        style.done(added)


def forget_result() -> None:
    """After a look at another page it is old news."""
    st.session_state.pop(_ADDED, None)
    st.session_state.pop(_REFUSED, None)
