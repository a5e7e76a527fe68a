"""A version as a file for other software: fetched when its form is chosen, then there to be saved."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from digits.client.choices import ExportFormat
from digits.client.errors import ClientError, ServerUnavailable
from digits.client.records import ExportedModel

from frontend import connection, style, wording

FORMATS: Mapping[ExportFormat, str] = {
    ExportFormat.KERAS: "Keras",
    ExportFormat.SAVED_MODEL: "TensorFlow SavedModel",
    ExportFormat.TFLITE: "TensorFlow Lite",
    ExportFormat.ONNX: "ONNX",
}
USES: Mapping[ExportFormat, str] = {
    ExportFormat.KERAS: "One file for keras.saving.load_model.",
    ExportFormat.SAVED_MODEL: "A zip archive; what is in it can be given to TensorFlow Serving as it is.",
    ExportFormat.TFLITE: "One file for LiteRT, on phones and small machines.",
    ExportFormat.ONNX: "The very file that answers here, for ONNX Runtime.",
}
# To import TensorFlow and convert takes seconds, on a busy machine many.
TIMEOUT_S = 120.0


def export_menu(number: int, *, can_fetch: bool) -> None:
    """Offer the forms of a version, and the file of the chosen one.

    While the server is away the choice stays, and its file is fetched when it is back.
    """
    chosen: ExportFormat | None = st.pills(
        f"Export version {number} for other software",
        list(FORMATS),
        format_func=FORMATS.__getitem__,
        key=f"export-{number}",
    )
    kept = f"exported-{number}"
    if chosen is None:
        st.session_state.pop(kept, None)
        return
    # Fetched once: the page is run again at every click.
    if st.session_state.get(kept, (None, None))[0] is not chosen:
        with st.spinner(f"Making a {FORMATS[chosen]} file of it …"):
            fetched = _fetch(number, chosen) if can_fetch else None
        if fetched is None:
            style.small_print("Waiting for the server.")
            return
        st.session_state[kept] = (chosen, fetched)
    exported: ExportedModel | str = st.session_state[kept][1]
    if isinstance(exported, str):
        style.wrong(exported)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            f"Save {wording.plain(exported.file_name)} ({wording.size(len(exported.data))})",
            icon=":material/download:",
            data=exported.data,
            file_name=exported.file_name,
            mime="application/octet-stream",
            on_click="ignore",
            key=f"save-{number}",
        )
    style.small_print(f"{USES[chosen]} SHA-256 {exported.sha256}")


def _fetch(number: int, chosen: ExportFormat) -> ExportedModel | str | None:
    """The file, or why there is none; None: the server is away."""
    try:
        return connection.client().export_model(chosen, number, timeout_s=TIMEOUT_S)
    except ServerUnavailable as error:
        connection.note(error)
        return None
    except ClientError as error:
        return wording.sentence(error.message)
