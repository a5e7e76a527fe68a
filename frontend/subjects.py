"""What the Draw page can have read: a drawing, a file or a test digit."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from html import escape

import streamlit as st

from frontend import connection, wording
from frontend.canvas import SIDE_PX, canvas
from frontend.choices import Dataset
from frontend.drawing import clear, undo
from frontend.errors import ClientError
from frontend.gallery import large_image
from frontend.records import Pixels, TestDigit

BRUSHES_PX = {"Thin": 9, "Mid": 16, "Bold": 24}
"""9 px is the brush of the classic script."""
IMAGE_TYPES = ("png", "jpg", "jpeg", "webp", "bmp")
UPLOAD_LIMIT_MIB = 4
# The first one that is on the server's machine is taken: those that nothing was trained on come first.
TEST_SETS = (Dataset.MNIST_TEST, Dataset.BUILTIN_TEST, Dataset.BUILTIN_DIGITS)


@dataclass(frozen=True, eq=False)
class Subject:
    """Something to read: an encoded file or (28, 28) pixels, or None while there is nothing.

    `prompt` and `hint` say what to do while there is nothing; `is_pending` that the image is about to come.
    `label` is the true digit, where it is known. `preview_html` shows the image once it was read.
    """

    image: bytes | Pixels | None
    prompt: str = ""
    hint: str = ""
    is_pending: bool = False
    label: int | None = None
    preview_html: str = ""


def drawing() -> Subject:
    """Show the sheet and its tools."""
    # The widget stands below the sheet, its value is needed above: the session has it.
    brush = st.session_state.get("brush", "Mid")
    with st.container(key="sheet-frame"):
        sheet = canvas(BRUSHES_PX[brush])
        # The style sheet writes "draw here" on a sheet with this mark.
        st.html('<i class="is-blank"></i>' if sheet.is_blank else "<i></i>")
    with st.container(horizontal=True, gap="small", key="sheet-tools"):
        st.button("Undo", on_click=undo, icon=":material/undo:", disabled=sheet.is_blank, width="stretch")
        st.button(
            "Clear",
            on_click=clear,
            icon=":material/ink_eraser:",
            disabled=sheet.is_blank,
            width="stretch",
        )
    st.segmented_control(
        "Brush",
        list(BRUSHES_PX),
        default="Mid",
        required=True,
        format_func=lambda name: f"{name} {BRUSHES_PX[name]} px",
        key="brush",
        persist_state="session",
        width="stretch",
        label_visibility="collapsed",
    )
    return Subject(
        image=None if sheet.is_blank else sheet.png,
        prompt="The answer appears here",
        hint="Write one digit, 0 to 9. It is read after each stroke.",
        is_pending=not sheet.is_blank and sheet.png is None,
    )


def file() -> Subject:
    """Let a visitor choose an image file."""
    upload = st.file_uploader(
        "A photo or drawing of one digit",
        type=IMAGE_TYPES,
        max_upload_size=UPLOAD_LIMIT_MIB,
        key="upload",
    )
    if upload is None:
        return Subject(
            None,
            "Choose an image",
            "Of one digit: dark on light, light on dark or transparent. Up to 4096×4096.",
        )
    data = upload.getvalue()
    source = f"data:{upload.type};base64,{base64.b64encode(data).decode()}"
    return Subject(
        data, preview_html=f'<img class="preview" src="{escape(source)}" alt="{escape(upload.name)}">'
    )


def test_digit() -> Subject:
    """Let a visitor take a digit from a test set, by its label or at random."""
    label = st.pills(
        "Labelled",
        range(10),
        key="test-label",
        persist_state="session",
        help="Without a choice: any digit.",
    )
    if "test-seed" not in st.session_state:
        _shuffle()
    try:
        found = _find(label, st.session_state["test-seed"])
    except ClientError as error:
        connection.note(error)
        return Subject(None, "No test digit yet", wording.sentence(error.message))
    if found is None:
        return Subject(
            None, "No test digit here", "Start the server with DIGITS_MNIST, or let it download MNIST."
        )
    dataset, digit = found
    with st.container(key="test-digit"):
        large_image(digit.pixels, alt=f"A handwritten {digit.label}", size_px=SIDE_PX)
    st.button("Another one", on_click=_shuffle, icon=":material/shuffle:", width="stretch")
    st.html(
        f'<div class="small-print">Labelled {digit.label} · no. {digit.index:,} of the '
        f"{wording.DATASETS[dataset]}</div>"
    )
    return Subject(digit.pixels, label=digit.label)


def _shuffle() -> None:
    st.session_state["test-seed"] = random.randint(1, 2**31)


def _find(label: int | None, seed: int) -> tuple[Dataset, TestDigit] | None:
    client = connection.client()
    available = {info.dataset for info in client.list_datasets().datasets if info.is_available}
    for dataset in TEST_SETS:
        if dataset in available:
            digits = client.list_test_digits(dataset, label=label, seed=seed, page_size=1).digits
            if digits:
                return dataset, digits[0]
    return None
