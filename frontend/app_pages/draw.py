"""Draw: a digit or a number from the pen, a file or a test set; what the model reads, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from digits.client.choices import Interpolation, Preprocessing
from digits.client.errors import ClientError, ServerUnavailable
from digits.client.records import Model
from streamlit.delta_generator import DeltaGenerator

from frontend import connection, preparation, subjects, wording
from frontend.drawing import DIGIT_SHEET, NUMBER_SHEET
from frontend.feedback import NOT_FOR_TEST_DIGITS, feedback, feedback_of_number, no_feedback
from frontend.reading import Reading, Settings, read

DRAW, UPLOAD, TEST_DIGIT = "Draw", "Upload", "Test digit"
PREPARATIONS = {
    Preprocessing.NORMALISE: (
        "MNIST normalisation",
        "Cropped to the ink, scaled to 20×20 and centred by weight, as the training digits were: "
        "place and size do not matter.",
    ),
    Preprocessing.RESIZE: (
        "Plain resize",
        "The whole image shrunk to 28×28, as a simple script does it: small or off-centre digits suffer.",
    ),
}
READY_MADE = "A test digit is 28×28 already and goes to the model as it is."
NUMBER = "Each digit is found, cut out and normalised by itself. Dots, commas and dashes are passed over."


@dataclass(frozen=True)
class Mode:
    """What is to be read: from where, one digit or a whole number, and whether the answer follows the pen."""

    source: str
    is_number: bool
    is_live: bool


@st.fragment
def page() -> None:
    """The whole page, as a fragment: a choice reruns nothing else."""
    title_place = st.container()
    mode = choose_mode()
    title_place.title("Draw a number" if mode.is_number else "Draw a digit")
    answer_place = st.container()
    settings, comparison_place = choose_settings(mode)
    with answer_place:
        image_and_answer(mode, settings, comparison_place)


@st.fragment
def image_and_answer(mode: Mode, settings: Settings, comparison_place: DeltaGenerator | None) -> None:
    """What is read, what the model makes of it, what you say to that: a stroke reruns no more than this."""
    sheet = NUMBER_SHEET if mode.is_number else DIGIT_SHEET
    with st.container(horizontal=True, gap="large", key="draw-columns"):
        image_side = st.container(width=sheet.width, key="image-side")
        answer_side = st.container(key="number-side" if mode.is_number else "answer-side")
    # Several digits are too many for the side.
    below = st.container(key="digits-below") if mode.is_number else answer_side
    if mode.source == DRAW:
        reading = read(subjects.of_drawing(sheet), settings)
        # The answer goes first: the live pad takes its own element for the sign that it may report again.
        show(mode, reading, answer_side, below, comparison_place)
        with image_side:
            subjects.pad(sheet, is_live=mode.is_live, overlay_html=reading.boxes_html)
        return
    with image_side:
        subject = subjects.file(mode.is_number) if mode.source == UPLOAD else subjects.test_digit()
    reading = read(subject, settings)
    show(mode, reading, answer_side, below, comparison_place)
    if reading.is_read and subject.preview_html:
        image_side.html(f'<div class="preview">{subject.preview_html}{reading.boxes_html}</div>')


def show(
    mode: Mode,
    reading: Reading,
    answer_side: DeltaGenerator,
    below: DeltaGenerator,
    comparison_place: DeltaGenerator | None,
) -> None:
    """Put every part of an answer into its place."""
    answer_side.html(reading.answer_html)
    with below:
        if mode.is_number:
            # Something goes into each place: for what is empty in a first run, Streamlit keeps none.
            st.html(reading.seen_html or "<i hidden></i>")
            feedback_of_number(reading.guesses)
        else:
            if mode.source == TEST_DIGIT:
                no_feedback(NOT_FOR_TEST_DIGITS)
            else:
                feedback(next(iter(reading.guesses), None))
            st.html(reading.seen_html)
    if comparison_place is not None:
        comparison_place.html(reading.comparison_html or preparation.EMPTY)


def choose_mode() -> Mode:
    """Where the image comes from, how much of it there is to read, and when."""
    with st.container(horizontal=True, vertical_alignment="center", key="mode"):
        source = st.segmented_control(
            "Where the digit comes from",
            [DRAW, UPLOAD, TEST_DIGIT],
            default=DRAW,
            required=True,
            label_visibility="collapsed",
            key="source",
            persist_state="session",
            width="content",
        )
        is_number = st.toggle(
            "Whole number",
            disabled=source == TEST_DIGIT,
            help="Reads all digits of a number, and shows where it found each.",
            key="whole-number",
            persist_state="session",
        )
        is_live = st.toggle(
            "Live",
            disabled=source != DRAW,
            help="The answer follows the pen. Off: it comes after each stroke.",
            key="live",
            persist_state="session",
        )
    return Mode(source, is_number and source != TEST_DIGIT, is_live and source == DRAW)


def choose_settings(mode: Mode) -> tuple[Settings, DeltaGenerator | None]:
    """Which version reads, how the image becomes its input, and the place to compare both ways, if wanted."""
    models, is_server_away = known_models()
    deployed = next((model.model_version for model in models if model.is_deployed), None)
    is_ready_made = mode.source == TEST_DIGIT
    preprocessing, interpolation = Preprocessing.NORMALISE, Interpolation.BILINEAR
    with st.container(horizontal=True, key="settings"):
        version = st.selectbox(
            "Read by",
            [0, *(model.model_version for model in models)],
            format_func=lambda number: version_name(number, deployed),
            key="version",
            persist_state="session",
            width=190,
        )
        if not mode.is_number:
            preprocessing, interpolation = choose_preparation(is_ready_made)
    if mode.is_number:
        explanation = NUMBER
    else:
        explanation = READY_MADE if is_ready_made else PREPARATIONS[preprocessing][1]
    st.html(f'<div class="small-print">{explanation}</div>')
    comparison_place = None
    if not mode.is_number and not is_ready_made:
        comparison = st.expander("Why preparation matters", key="compare", on_change="rerun")
        if comparison.open:
            comparison_place = comparison.container()
    settings = Settings(version, preprocessing, interpolation, comparison_place is not None, is_server_away)
    return settings, comparison_place


def choose_preparation(is_ready_made: bool) -> tuple[Preprocessing, Interpolation]:
    """How an image of one digit becomes the model's input."""
    preprocessing = st.selectbox(
        "Prepared by",
        list(PREPARATIONS),
        format_func=lambda choice: PREPARATIONS[choice][0],
        disabled=is_ready_made,
        key="preprocessing",
        persist_state="session",
        width=190,
    )
    interpolation = st.selectbox(
        "Interpolation",
        list(wording.INTERPOLATIONS),
        format_func=lambda choice: wording.INTERPOLATIONS[choice],
        disabled=is_ready_made or preprocessing != Preprocessing.RESIZE,
        help="How a small pixel is computed from the large ones. For the plain resize only.",
        key="interpolation",
        persist_state="session",
        width=130,
    )
    return preprocessing, interpolation


def known_models() -> tuple[tuple[Model, ...], bool]:
    """All versions, or those seen last so that a choice is not lost, and whether the server is away."""
    is_server_away = False
    try:
        st.session_state["known-models"] = connection.client().list_models(page_size=100).models
    except ClientError as error:
        connection.note(error)
        is_server_away = isinstance(error, ServerUnavailable)
    return st.session_state.get("known-models", ()), is_server_away


def version_name(number: int, deployed: int | None) -> str:
    """What the picker calls a version."""
    if number:
        return f"Version {number}"
    return "Deployed version" if deployed is None else f"Deployed: version {deployed}"


page()
