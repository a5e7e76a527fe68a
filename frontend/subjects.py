"""What the Draw page can have read: a drawing, a file or a test digit."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from html import escape

import streamlit as st
from digits.client.choices import Dataset
from digits.client.errors import ClientError
from digits.client.records import Pixels, TestDigit

from frontend import connection, wording
from frontend.canvas import canvas
from frontend.drawing import DIGIT_SHEET, NUMBER_SHEET, Drawing, Sheet, clear, drawing, undo
from frontend.gallery import large_image
from frontend.image_size import shown_size
from frontend.live_pad import live_pad

BRUSHES_PX = {"Thin": 9, "Mid": 16, "Bold": 24}
"""9 px is the brush of the classic script."""
IMAGE_TYPES = ("png", "jpg", "jpeg", "webp", "bmp")
UPLOAD_LIMIT_MIB = 4
# The first one that is on the server's machine is taken: those that nothing was trained on come first.
TEST_SETS = (Dataset.MNIST_TEST, Dataset.BUILTIN_TEST, Dataset.BUILTIN_DIGITS)


@dataclass(frozen=True, eq=False)
class Subject:
    """Something to read: an encoded file or (28, 28) pixels, or None while there is nothing.

    `is_number`: several digits, not one. `prompt` and `hint` say what to do while there is nothing;
    `is_pending` that the image is about to come. `size` is its width and height in pixels, where known, and
    `label` the true digit. `preview_html` shows the image once it was read.
    """

    image: bytes | Pixels | None
    prompt: str = ""
    hint: str = ""
    is_number: bool = False
    is_pending: bool = False
    size: tuple[int, int] | None = None
    label: int | None = None
    preview_html: str = ""


def of_drawing(sheet: Sheet) -> Subject:
    """What is on a sheet."""
    drawn = drawing(sheet)
    is_number = sheet is NUMBER_SHEET
    return Subject(
        image=None if drawn.is_blank else drawn.png,
        prompt="The answer appears here",
        hint="Write a number, in one line or in several." if is_number else "Write one digit, 0 to 9.",
        is_number=is_number,
        is_pending=not drawn.is_blank and drawn.png is None,
        size=(sheet.width, sheet.height),
    )


def pad(sheet: Sheet, *, is_live: bool, overlay_html: str) -> None:
    """Show a sheet and its tools. `overlay_html` lies over the ink."""
    # The widget stands below the sheet, its value is needed above: the session has it.
    brush_px = BRUSHES_PX[st.session_state.get("brush", "Mid")]
    with st.container(key="number-frame" if sheet is NUMBER_SHEET else "digit-frame"):
        drawn = live_pad(sheet, brush_px) if is_live else canvas(sheet, brush_px)
        # The style sheet writes "draw here" on a sheet with this mark.
        st.html('<i class="is-blank"></i>' if drawn.is_blank else overlay_html or "<i></i>")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="sheet-tools"):
        tools(sheet, drawn)


def tools(sheet: Sheet, drawn: Drawing) -> None:
    """Undo, clear, and the brush."""
    st.button(
        "Undo",
        on_click=undo,
        args=(sheet,),
        icon=":material/undo:",
        disabled=drawn.is_blank,
        width="stretch",
    )
    st.button(
        "Clear",
        on_click=clear,
        args=(sheet,),
        icon=":material/ink_eraser:",
        disabled=drawn.is_blank,
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


def file(is_number: bool) -> Subject:
    """Let a visitor choose an image file."""
    upload = st.file_uploader(
        "A photo or drawing of a number" if is_number else "A photo or drawing of one digit",
        type=IMAGE_TYPES,
        max_upload_size=UPLOAD_LIMIT_MIB,
        key="upload",
    )
    if upload is None:
        what = "Of a number, in one line or in several" if is_number else "Of one digit"
        return Subject(
            None,
            "Choose an image",
            f"{what}: dark on light, light on dark or transparent. Up to 4096×4096.",
            is_number=is_number,
        )
    data = upload.getvalue()
    source = f"data:{upload.type};base64,{base64.b64encode(data).decode()}"
    return Subject(
        data,
        is_number=is_number,
        size=shown_size(data) if is_number else None,
        preview_html=f'<img src="{escape(source)}" alt="{escape(upload.name)}">',
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
        large_image(digit.pixels, alt=f"A handwritten {digit.label}", size_px=DIGIT_SHEET.width)
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
