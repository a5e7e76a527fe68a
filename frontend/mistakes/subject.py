"""A digit that can be opened, from whichever list it comes, and the list that it is leafed through in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from digits.client.records import ComparedDigit, LikelyLabelError, MisclassifiedDigit, Model, Pixels

from frontend import wording
from frontend.gallery import Action, Line, Tile
from frontend.mistakes.source import Listed
from frontend.mistakes.view import View


@dataclass(frozen=True, eq=False)
class Subject:
    """One digit, and what `version` reads in it. `index` is its place in the data set.

    `rival` is the digit that it may be instead of what is read: the label, or else what was close. `doubter`
    is a version that reads it as another digit than its label, or nearly so.
    `loss` is in nats, None where the list does not tell it. `correct_label` is what a person said that it is
    instead of its label; None when nobody did, or where the list does not tell.
    """

    index: int
    pixels: Pixels
    label: int
    version: int
    read: int
    rival: int
    doubter: int
    probabilities: tuple[float, ...]
    is_marked: bool
    correct_label: int | None = None
    loss: float | None = None

    @property
    def is_misread(self) -> bool:
        """Whether the version reads it as another digit than its label."""
        return self.read != self.label

    @property
    def alt(self) -> str:
        """The digit in words, for people who do not see it."""
        sure = wording.percent(self.probabilities[self.read], 0)
        return f"true {self.label}, read {self.read}, {sure} sure, image {self.index}"


@dataclass(frozen=True, eq=False)
class Shelf:
    """One page of a list of digits: `first` is the place of its first one among all `total`, from 1.

    `ask` gets any page of the list by its token.
    """

    view: View
    subjects: Sequence[Subject]
    first: int
    total: int
    ask: Callable[[str], Listed]
    models: Sequence[Model]

    @property
    def last(self) -> int:
        """The place of the last digit of this page among all, from 1."""
        return self.first + len(self.subjects) - 1

    @property
    def shown(self) -> str:
        """Which digits these are: "101–200 of 250"."""
        return f"{self.first:,}–{self.last:,} of {self.total:,}"


def of_mistake(digit: MisclassifiedDigit, version: int) -> Subject:
    """A digit that a version misreads."""
    return Subject(
        digit.index,
        digit.pixels,
        digit.true_digit,
        version,
        digit.predicted_digit,
        digit.true_digit,
        version,
        digit.probabilities,
        digit.is_marked_mislabelled,
        loss=digit.loss,
    )


def of_label_error(digit: LikelyLabelError, version: int) -> Subject:
    """A digit whose label a version doubts: it may read it all the same, but is not sure."""
    read = max(range(10), key=digit.probabilities.__getitem__)
    return Subject(
        digit.index,
        digit.pixels,
        digit.label,
        version,
        read,
        digit.label if read != digit.label else digit.suggested_label,
        version,
        digit.probabilities,
        digit.is_marked_mislabelled,
        digit.correct_label,
    )


def of_compared(digit: ComparedDigit, base: int, version: int) -> Subject:
    """A digit that one of two versions misreads, as the second one reads it."""
    reading = digit.candidate
    is_right = reading.predicted_digit == digit.true_digit
    return Subject(
        digit.index,
        digit.pixels,
        digit.true_digit,
        version,
        reading.predicted_digit,
        digit.base.predicted_digit if is_right else digit.true_digit,
        base if is_right else version,
        reading.probabilities,
        digit.is_marked_mislabelled,
    )


def mistake_tile(subject: Subject) -> Tile:
    """A misread digit in the gallery."""
    return Tile(
        key=subject.index,
        pixels=subject.pixels,
        caption=f"true {subject.label}, read {subject.read}",
        note=wording.percent(subject.probabilities[subject.read], 0),
        alt=subject.alt,
        is_marked=subject.is_marked,
    )


def label_tile(digit: LikelyLabelError) -> Tile:
    """A digit whose label is likely wrong, with a button that marks it so."""
    said = digit.correct_label if digit.is_marked_mislabelled else digit.suggested_label
    text = f"It is a {said}" if said is not None else "It is no digit"
    sure = wording.percent(digit.score, 0)
    return Tile(
        key=digit.index,
        pixels=digit.pixels,
        caption=f"label {digit.label}, rather {digit.suggested_label}",
        note=f"{sure} sure",
        alt=f"label {digit.label}, rather {digit.suggested_label}, {sure} sure, image {digit.index}",
        action=Action(
            f"✓ {text}" if digit.is_marked_mislabelled else text,
            f"Image {digit.index}: its label {digit.label} is wrong. {text}",
            digit.is_marked_mislabelled,
        ),
        is_marked=digit.is_marked_mislabelled,
    )


def compared_tile(digit: ComparedDigit, base: int, candidate: int) -> Tile:
    """A digit with both answers under it; those that are wrong in red."""
    answers = [(base, digit.base), (candidate, digit.candidate)]
    said = ", ".join(
        f"version {version} reads {reading.predicted_digit}, {wording.percent(reading.confidence, 0)} sure"
        for version, reading in answers
    )
    return Tile(
        key=digit.index,
        pixels=digit.pixels,
        caption=f"true {digit.true_digit}",
        note="",
        alt=f"true {digit.true_digit}; {said}; image {digit.index}",
        lines=[
            Line(
                f"v{version}: {reading.predicted_digit} · {wording.percent(reading.confidence, 0)}",
                reading.predicted_digit != digit.true_digit,
            )
            for version, reading in answers
        ],
        is_marked=digit.is_marked_mislabelled,
    )
