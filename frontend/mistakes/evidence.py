"""What is known of an opened digit besides its reading: what that rests on, what other versions say."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st
from digits.client.errors import ClientError
from digits.client.records import Explanation, Model, Prediction

from frontend import connection, wording
from frontend.mistakes.subject import Subject

# The server keeps a few versions in memory; more of them would take turns in there at every digit.
MOST_VERSIONS = 5
NEIGHBOURS = 5
# How often to ask for likes that are being looked for, and for how long.
POLL_S = 1.5
PATIENCE_S = 90.0

_KEPT = "mistakes_evidence_{}"

Value = TypeVar("Value")
Explained = tuple[Explanation | None, str]
"""What a reading rests on, or None and why."""


@dataclass(frozen=True, eq=False)
class Kept(Generic[Value]):
    """What was asked for, what it is about, when it was first asked for, and when the last time."""

    about: tuple[object, ...]
    value: Value
    since: float
    asked: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What a version reads, or None where it did not answer."""

    model: Model
    prediction: Prediction | None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a reading rests on, None where it could not be explained, for the reason in `problem`.

    `answers` are those of the other versions, the deployed one first, then the newest; `left_out` others were
    not asked.
    """

    explanation: Explanation | None
    problem: str
    answers: Sequence[Answer]
    left_out: int


def collect(subject: Subject, explained: int, models: Sequence[Model], beside: int) -> Evidence:
    """Ask the server for all of it, once for each digit that is opened; again for likes on their way.

    `explained` is the digit whose probability is explained, `beside` the version that is asked before others.
    """
    # The image tells the data set as well.
    about = (subject.version, subject.pixels.tobytes())
    explanation, problem = _once("explanation", (*about, explained), lambda: _explain(subject, explained))
    if is_waiting():
        explanation, problem = _again("explanation", lambda: _explain(subject, explained))
    others = sorted(
        (model for model in models if model.model_version != subject.version),
        key=lambda model: (model.model_version != beside, not model.is_deployed, -model.model_version),
    )
    asked = others[:MOST_VERSIONS]

    def ask_all() -> list[Answer]:
        return [Answer(model, _ask(subject, model.model_version)) for model in asked]

    answers = _once("answers", (*about, *(model.model_version for model in asked)), ask_all)
    if any(answer.prediction is None for answer in answers):
        answers = _again("answers", ask_all)
    return Evidence(explanation, problem, answers, len(others) - len(asked))


def is_waiting() -> bool:
    """Whether more may come: a server that is away comes back, and it looks for likes once a version."""
    kept: Kept[Explained] | None = st.session_state.get(_KEPT.format("explanation"))
    if kept is None or (kept.value[0] is not None and kept.value[0].neighbours):
        return False
    return time.monotonic() - kept.since < PATIENCE_S


def _explain(subject: Subject, explained: int) -> Explained:
    try:
        return connection.client().explain_pixels(
            subject.pixels, model_version=subject.version, digit=explained, neighbours=NEIGHBOURS
        ), ""
    except ClientError as error:
        connection.note(error)
        return None, wording.sentence(error.message)


def _ask(subject: Subject, version: int) -> Prediction | None:
    try:
        return connection.client().predict_pixels(subject.pixels, model_version=version).prediction
    except ClientError as error:
        connection.note(error)
        return None


def _once(name: str, about: tuple[object, ...], ask: Callable[[], Value]) -> Value:
    """The value about something, asked for only when it is about something else than the one kept."""
    kept: Kept[Value] | None = st.session_state.get(_KEPT.format(name))
    if kept is None or kept.about != about:
        value = ask()
        kept = Kept(about, value, time.monotonic(), time.monotonic())
        st.session_state[_KEPT.format(name)] = kept
    return kept.value


def _again(name: str, ask: Callable[[], Value]) -> Value:
    """The kept value, asked for once more when that is a while ago."""
    kept: Kept[Value] = st.session_state[_KEPT.format(name)]
    if time.monotonic() - kept.asked < POLL_S:
        return kept.value
    kept = Kept(kept.about, ask(), kept.since, time.monotonic())
    st.session_state[_KEPT.format(name)] = kept
    return kept.value
