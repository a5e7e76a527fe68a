"""Under a prediction: "Right", or which digit it is. Either keeps the image as a labelled sample."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

import streamlit as st
from digits.client.choices import SampleUse
from digits.client.errors import ClientError, Refused
from digits.client.records import Pixels, Sample

from frontend import connection, style, wording
from frontend.binding import bind

INVITATION = "Say what it is, right or wrong: it is kept in My digits, to learn from."
NOT_FOR_TEST_DIGITS = "A test digit measures versions, so none is ever trained on it: it is not kept."

# Of a session: what became of each image, by its fingerprint, and the click that the next run acts on.
_KEPT, _ASKED = "feedback-kept", "feedback-asked"
_RIGHT, _LABEL, _UNDO, _WHICH = "feedback-right", "feedback-label", "feedback-undo", "feedback-digit"


@dataclass(frozen=True, eq=False)
class Guess:
    """An image, encoded or (28, 28) pixels, what was read in it, and by which version."""

    image: bytes | Pixels
    digit: int
    model_version: int

    @property
    def fingerprint(self) -> str:
        """The same for the same image."""
        data = self.image if isinstance(self.image, bytes) else self.image.tobytes()
        return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, eq=False)
class Kept:
    """What became of an image: its sample, once there is one, or why not.

    `request_id` stays until it is taken back, so that a second click after a lost answer keeps no second one.
    """

    request_id: str
    sample: Sample | None = None
    fault: str = ""


@dataclass(frozen=True)
class Asked:
    """A click: that the digit shown was right, or a label. `label` is None to take it back.

    `place` is that of the digit that was chosen then, among those of a number: another may be by now.
    """

    place: int
    label: int | None
    is_right: bool = False


def feedback(guess: Guess | None) -> None:
    """Do what was clicked, and show the buttons for what was read. Without a guess they wait."""
    guesses = [guess] if guess else []
    _act_on_click(guesses)
    _buttons(guesses, 0)


def _buttons(guesses: Sequence[Guess], place: int) -> None:
    """The buttons for one digit of those that were read."""
    guess = guesses[place] if guesses else None
    kept = _of(guess)
    sample = kept.sample if kept else None
    with st.container(key="feedback", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="feedback-row"):
            st.button(
                "Right",
                icon=":material/check:",
                disabled=guess is None or sample is not None,
                on_click=_note_right(guess, place),
                key=_RIGHT,
            )
            st.html('<span class="it-is-a">It is a</span>', width="content")
            st.segmented_control(
                "It is a",
                range(10),
                required=True,
                disabled=guess is None,
                label_visibility="collapsed",
                width="stretch",
                # What is chosen is what is kept: nothing, as soon as there is another image.
                **bind(f"{_LABEL}-{place}", sample.label if sample else None, _note_label(place)),
            )
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="feedback-result"):
            st.html(_said_html(kept))
            st.button(
                "Undo",
                type="tertiary",
                disabled=sample is None,
                on_click=_note_undo,
                args=(place,),
                key=_UNDO,
            )
            st.page_link("app_pages/my_digits.py", label="My digits", width="content")


def no_feedback(reason: str) -> None:
    """Say, in the place of the buttons, why there are none."""
    with st.container(key="feedback"):
        style.small_print(reason)


def feedback_of_number(guesses: Sequence[Guess]) -> None:
    """The same for the digits of a number, one after the other: which of them is chosen first."""
    _act_on_click(guesses)
    chosen = min(st.session_state.get(_WHICH) or 0, max(0, len(guesses) - 1))
    with st.container(horizontal=True, key="feedback-of-number"):
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", width="content", key="feedback-which"
        ):
            st.html('<span class="it-is-a">Which digit</span>', width="content")
            if guesses:
                st.session_state[_WHICH] = chosen
                st.segmented_control(
                    "Which digit",
                    range(len(guesses)),
                    # Told apart by their texts: two sevens need different ones.
                    format_func=lambda place: f"{place + 1}: {guesses[place].digit}",
                    required=True,
                    key=_WHICH,
                    label_visibility="collapsed",
                )
        _buttons(guesses, chosen)


def forget(sample_id: str) -> None:
    """A sample was deleted elsewhere: its image can be kept anew."""
    for fingerprint, _ in _with(sample_id):
        del st.session_state[_KEPT][fingerprint]


def remember(sample: Sample) -> None:
    """A sample was labelled anew elsewhere."""
    for fingerprint, kept in _with(sample.sample_id):
        st.session_state[_KEPT][fingerprint] = replace(kept, sample=sample)


def _with(sample_id: str) -> list[tuple[str, Kept]]:
    everything: dict[str, Kept] = st.session_state.get(_KEPT, {})
    return [each for each in everything.items() if each[1].sample and each[1].sample.sample_id == sample_id]


def _note_right(guess: Guess | None, place: int) -> Callable[[], None]:
    """Note the click, and which digit was on the page then: more ink may have come with it."""

    def note() -> None:
        if guess is not None:
            st.session_state[_ASKED] = Asked(place, guess.digit, is_right=True)

    return note


def _note_label(place: int) -> Callable[[int], None]:
    def note(label: int) -> None:
        st.session_state[_ASKED] = Asked(place, label)

    return note


def _note_undo(place: int) -> None:
    st.session_state[_ASKED] = Asked(place, None)


def _of(guess: Guess | None) -> Kept | None:
    everything: dict[str, Kept] = st.session_state.setdefault(_KEPT, {})
    return everything.get(guess.fingerprint) if guess else None


def _act_on_click(guesses: Sequence[Guess]) -> None:
    asked: Asked | None = st.session_state.pop(_ASKED, None)
    if asked is not None and asked.place < len(guesses):
        _act(guesses[asked.place], asked)


def _act(guess: Guess, asked: Asked) -> None:
    """Do what was clicked, and keep what came of it."""
    everything: dict[str, Kept] = st.session_state.setdefault(_KEPT, {})
    kept = everything.get(guess.fingerprint) or Kept(uuid.uuid4().hex)
    if asked.is_right and asked.label != guess.digit:
        # A stroke that came together with the click has changed the answer.
        everything[guess.fingerprint] = replace(kept, fault="The answer has changed. Is it right now?")
        return
    try:
        if asked.label is not None:
            sample = _keep(guess, asked.label, kept)
            everything[guess.fingerprint] = replace(kept, sample=sample, fault="")
        elif kept.sample is not None:
            _take_back(kept.sample)
            del everything[guess.fingerprint]
    except ClientError as error:
        connection.note(error)
        everything[guess.fingerprint] = replace(kept, fault=wording.sentence(error.message))


def _keep(guess: Guess, label: int, kept: Kept) -> Sample:
    """The sample of an image, with this label. Raises ClientError."""
    client = connection.client()
    sample = kept.sample
    if sample is None:
        image, version, request_id = guess.image, guess.model_version, kept.request_id
        if isinstance(image, bytes):
            added = client.add_sample(image, label, model_version=version, request_id=request_id)
        else:
            added = client.add_sample_pixels(image, label, model_version=version, request_id=request_id)
        sample = added.sample
    # Corrected again, or the answer to another label was lost on its way.
    return sample if sample.label == label else client.update_sample(sample.sample_id, label)


def _take_back(sample: Sample) -> None:
    """Delete a sample; one that is gone already is no fault. Raises ClientError."""
    try:
        connection.client().delete_sample(sample.sample_id)
    except Refused as error:
        if error.reason != "SAMPLE_NOT_FOUND":
            raise


def _said_html(kept: Kept | None) -> str:
    """What became of an image, in a place that keeps its size."""
    text, tone = INVITATION, ""
    if kept is not None and kept.fault:
        text, tone = kept.fault, " is-wrong"
    elif kept is not None and kept.sample is not None:
        text, tone = _kept_words(kept.sample), " is-kept"
    return f'<div class="feedback-said{tone}" role="status">{escape(text)}</div>'


def _kept_words(sample: Sample) -> str:
    said = f"Kept as {wording.a_digit(sample.label)}"
    if sample.use is SampleUse.EXCLUDED:
        return f"{said}, but it is one of the digits that measure versions: none is trained on it."
    read = f"as version {sample.model_version} read it"
    if sample.is_misread:
        read = f"read as {wording.a_digit(sample.predicted_digit)} by version {sample.model_version}"
    aside = " It is set aside to measure versions with." if sample.use is SampleUse.HELD_OUT else ""
    return f"{said}, {read}.{aside}"
