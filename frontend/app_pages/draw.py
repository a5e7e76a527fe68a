"""Draw: a digit from the pen, a file or a test set; what the model reads in it, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from frontend import connection, subjects, wording
from frontend.canvas import SIDE_PX
from frontend.choices import Interpolation, Preprocessing
from frontend.errors import ClientError, Refused, ServerUnavailable
from frontend.probabilities import answer_html
from frontend.records import Answer, Model
from frontend.subjects import Subject

SOURCES = {"Draw": subjects.drawing, "Upload": subjects.file, "Test digit": subjects.test_digit}
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
REFUSALS = {
    "BLANK_IMAGE": "There is no ink in it",
    "INVALID_IMAGE": "This file cannot be read",
    "NOTHING_DEPLOYED": "No version is deployed",
    "OVERLOADED": "The server is busy",
}


@dataclass(frozen=True)
class Settings:
    """How a digit is to be read. Version 0 is the deployed one.

    `is_server_away`: it did not tell its versions just now, so that there is no use in asking it more.
    """

    model_version: int
    preprocessing: Preprocessing
    interpolation: Interpolation
    is_server_away: bool


@st.fragment
def page() -> None:
    """The whole page, as a fragment: a stroke reruns nothing else."""
    st.title("Draw a digit")
    source = st.segmented_control(
        "Where the digit comes from",
        list(SOURCES),
        default="Draw",
        required=True,
        label_visibility="collapsed",
        key="source",
        persist_state="session",
    )
    with st.container(horizontal=True, gap="large", key="draw-columns"):
        image_side = st.container(width=SIDE_PX, key="image-side")
        answer_side = st.container(key="answer-side")
    # The image's side comes first, and draws without the server: the sheet stays while the server is away.
    with image_side:
        subject = SOURCES[source]()
    with answer_side:
        answer_place = st.container()
        settings = choose_settings(is_ready_made=source == "Test digit")
    answer, html = read(subject, settings)
    with answer_place:
        st.html(html)
    if answer is not None and subject.preview_html:
        with image_side:
            st.html(subject.preview_html)


def choose_settings(is_ready_made: bool) -> Settings:
    """Which version reads, and how the image becomes its input."""
    models, is_server_away = known_models()
    deployed = next((model.model_version for model in models if model.is_deployed), None)
    with st.container(horizontal=True, key="settings"):
        version = st.selectbox(
            "Read by",
            [0, *(model.model_version for model in models)],
            format_func=lambda number: version_name(number, deployed),
            key="version",
            persist_state="session",
            width=190,
        )
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
    st.html(
        f'<div class="small-print">{READY_MADE if is_ready_made else PREPARATIONS[preprocessing][1]}</div>'
    )
    return Settings(version, preprocessing, interpolation, is_server_away)


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


def read(subject: Subject, settings: Settings) -> tuple[Answer | None, str]:
    """The answer, if there is one, and what the page shows of it or says instead, as HTML."""
    last: Answer | None = st.session_state.get("last-answer")
    if subject.is_pending:
        return last, answer_html(last)
    if subject.image is None:
        st.session_state["last-answer"] = None
        return None, answer_html(None, title=subject.prompt, hint=subject.hint)
    waiting = answer_html(None, title="Waiting for the server", hint="What you drew or chose is kept.")
    if settings.is_server_away:
        return None, waiting
    try:
        answer = ask(subject, settings)
    except ServerUnavailable as error:
        connection.note(error)
        return None, waiting
    except Refused as error:
        title = REFUSALS.get(error.reason, "This was refused")
        return None, answer_html(None, title=title, hint=wording.sentence(error.message), is_wrong=True)
    except ClientError as error:
        return None, answer_html(None, title="That failed", hint=error.message, is_wrong=True)
    st.session_state["last-answer"] = answer
    if subject.label is None:
        return answer, answer_html(answer)
    is_right = answer.prediction.digit == subject.label
    verdict = f"{'Right' if is_right else 'Wrong'}: it is labelled {subject.label}."
    return answer, answer_html(answer, hint=verdict, is_wrong=not is_right)


def ask(subject: Subject, settings: Settings) -> Answer:
    """Have the server read the subject. Raises ClientError."""
    client = connection.client()
    if isinstance(subject.image, bytes):
        return client.predict(
            subject.image,
            preprocessing=settings.preprocessing,
            interpolation=settings.interpolation,
            model_version=settings.model_version,
        )
    assert subject.image is not None
    return client.predict_pixels(subject.image, model_version=settings.model_version)


page()
