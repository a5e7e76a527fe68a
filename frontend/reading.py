"""From a subject to what the page shows of it: the server is asked, and every refusal has its words."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from digits.client.choices import Interpolation, Preprocessing
from digits.client.errors import ClientError, Refused, ServerUnavailable
from digits.client.records import Answer, NumberAnswer

from frontend import connection, wording
from frontend.feedback import Guess
from frontend.number_answer import boxes_html, digits_html, number_html
from frontend.preparation import comparison_html
from frontend.probabilities import answer_html, seen_html
from frontend.subjects import Subject

REFUSALS = {
    "BLANK_IMAGE": "There is no ink in it",
    "INVALID_IMAGE": "This file cannot be read",
    "NOTHING_DEPLOYED": "No version is deployed",
    "OVERLOADED": "The server is busy",
}


@dataclass(frozen=True)
class Settings:
    """How an image is to be read. Version 0 is the deployed one.

    `is_compared`: show, too, what comes of each way to prepare it. `is_server_away`: it did not tell its
    versions just now, so that there is no use in asking it more.
    """

    model_version: int
    preprocessing: Preprocessing
    interpolation: Interpolation
    is_compared: bool
    is_server_away: bool


@dataclass(frozen=True)
class Reading:
    """What the page shows, as HTML: the answer or what to do, what the model saw of one digit or of several,
    boxes over the ink, the comparison. `guesses` is what it says of each digit, to be confirmed or corrected.
    """

    answer_html: str
    seen_html: str = ""
    is_read: bool = False
    boxes_html: str = ""
    comparison_html: str = ""
    guesses: tuple[Guess, ...] = ()


def read(subject: Subject, settings: Settings) -> Reading:
    """Have the server read a subject. What goes wrong is in the answer's place."""
    last: Reading | None = st.session_state.get("last-reading")
    if subject.is_pending and last is not None:
        return last
    if subject.image is None:
        return _nothing(subject, subject.prompt, subject.hint)
    if settings.is_server_away:
        return _waiting(subject)
    try:
        reading = _ask(subject, settings)
    except ServerUnavailable as error:
        connection.note(error)
        return _waiting(subject)
    except Refused as error:
        title = REFUSALS.get(error.reason, "This was refused")
        return _nothing(subject, title, wording.sentence(error.message), is_wrong=True)
    except ClientError as error:
        return _nothing(subject, "That failed", error.message, is_wrong=True)
    st.session_state["last-reading"] = reading
    return reading


def _waiting(subject: Subject) -> Reading:
    return _nothing(subject, "Waiting for the server", "What you drew or chose is kept.")


def _nothing(subject: Subject, title: str, hint: str, *, is_wrong: bool = False) -> Reading:
    st.session_state["last-reading"] = None
    if subject.is_number:
        return Reading(number_html(None, title=title, hint=hint, is_wrong=is_wrong))
    return Reading(answer_html(None, title=title, hint=hint, is_wrong=is_wrong), seen_html(None))


def _ask(subject: Subject, settings: Settings) -> Reading:
    """Raises ClientError."""
    if subject.is_number:
        number = _ask_for_number(subject, settings)
        return Reading(
            number_html(number),
            digits_html(number),
            is_read=True,
            boxes_html=boxes_html(number, subject.size) if subject.size else "",
            guesses=tuple(
                # The part of the image that holds this digit, as the model saw it.
                Guess(digit.prediction.model_input, digit.prediction.digit, number.model_version)
                for digit in number.digits
            ),
        )
    assert subject.image is not None
    answer = _ask_for_digit(subject, settings, settings.preprocessing)
    if subject.label is None:
        html = answer_html(answer)
    else:
        is_right = answer.prediction.digit == subject.label
        verdict = f"{'Right' if is_right else 'Wrong'}: it is labelled {subject.label}."
        html = answer_html(answer, hint=verdict, is_wrong=not is_right)
    comparison = ""
    if settings.is_compared and isinstance(subject.image, bytes):
        comparison = comparison_html(
            resized=_ask_for_digit(subject, settings, Preprocessing.RESIZE),
            normalised=_ask_for_digit(subject, settings, Preprocessing.NORMALISE),
        )
    guess = Guess(subject.image, answer.prediction.digit, answer.model_version)
    return Reading(html, seen_html(answer), is_read=True, comparison_html=comparison, guesses=(guess,))


def _ask_for_number(subject: Subject, settings: Settings) -> NumberAnswer:
    assert isinstance(subject.image, bytes)
    return connection.client().read_number(subject.image, model_version=settings.model_version)


def _ask_for_digit(subject: Subject, settings: Settings, preprocessing: Preprocessing) -> Answer:
    assert subject.image is not None
    client = connection.client()
    if isinstance(subject.image, bytes):
        return client.predict(
            subject.image,
            preprocessing=preprocessing,
            interpolation=settings.interpolation,
            model_version=settings.model_version,
        )
    return client.predict_pixels(subject.image, model_version=settings.model_version)
