"""The answer to a whole number, as HTML: its text, boxes over the ink, every digit as the model saw it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from digits.client.records import NumberAnswer, NumberDigit

from frontend.gallery import data_uri
from frontend.probabilities import steps
from frontend.wording import count, probability


def number_html(
    answer: NumberAnswer | None, *, title: str = "", hint: str = "", is_wrong: bool = False
) -> str:
    """The number, large, in a place that keeps its size. Texts are escaped here.

    `title` and `hint` say what to do while there is no answer, in red when `is_wrong`.
    """
    if answer is not None:
        title, hint = _verdict(answer.digits)
    lines = _lines(answer.digits) if answer is not None else []
    # The style sheet makes the letters as large as the longest line and the number of lines allow.
    longest = max([len(line) for line in lines], default=1)
    return (
        f'<section class="number-answer{"" if lines else " is-empty"}" aria-label="The answer">'
        f'<div class="reading" role="status"><div class="number" '
        f'style="--letters:{longest};--lines:{len(lines) or 1}">{_text_html(lines)}</div>'
        f'<div class="sureness">{escape(title)}</div>'
        f'<div class="remark{" is-wrong" if is_wrong else ""}">{escape(hint)}</div></div></section>'
    )


def _verdict(digits: Sequence[NumberDigit]) -> tuple[str, str]:
    if not digits:
        return "No digit found", "Dots, commas and dashes are passed over."
    uncertain = sum(digit.prediction.is_uncertain for digit in digits)
    if uncertain == len(digits):
        return "Not sure", "It may be no number."
    if uncertain:
        return f"Not sure of {count(uncertain, 'digit')}", "In a dashed box: it may be none."
    least = min(digit.prediction.confidence for digit in digits)
    return f"{probability(least)} sure", "of the digit that is hardest to read." if len(digits) > 1 else ""


def _lines(digits: Sequence[NumberDigit]) -> list[list[NumberDigit]]:
    return [list(line) for _, line in groupby(digits, key=lambda digit: digit.line)]


def _text_html(lines: Sequence[Sequence[NumberDigit]]) -> str:
    if not lines:
        return '<div aria-hidden="true">?</div>'
    return "".join(f"<div>{''.join(map(_letter_html, line))}</div>" for line in lines)


def _letter_html(digit: NumberDigit) -> str:
    letter = str(digit.prediction.digit)
    return f'<span class="is-uncertain">{letter}</span>' if digit.prediction.is_uncertain else letter


def boxes_html(answer: NumberAnswer, size: tuple[int, int]) -> str:
    """A box around each digit, to lie over an image of `size` (width, height), however large it is shown."""
    boxes = "".join(_box_html(digit, *size) for digit in answer.digits)
    return f'<div class="boxes" aria-hidden="true">{boxes}</div>'


def _box_html(digit: NumberDigit, width: int, height: int) -> str:
    box = digit.box
    return (
        f'<i class="{"is-uncertain" if digit.prediction.is_uncertain else ""}" '
        f'style="left:{box.x / width:.3%};top:{box.y / height:.3%};'
        f'width:{box.width / width:.3%};height:{box.height / height:.3%}"></i>'
    )


def digits_html(answer: NumberAnswer) -> str:
    """Each digit's 28x28 pixels as the model saw them, what it read in them and how sure it is."""
    tiles = "".join(_digit_html(digit) for digit in answer.digits)
    return (
        f'<figure class="digits"><figcaption>What the model sees: 28×28 pixels of each digit'
        f'<div class="small-print">{escape(steps(answer.model_version, answer.timings))}</div></figcaption>'
        f"<ol>{tiles}</ol></figure>"
    )


def _digit_html(digit: NumberDigit) -> str:
    prediction = digit.prediction
    doubt = "not sure" if prediction.is_uncertain else ""
    return (
        f'<li class="{"is-uncertain" if doubt else ""}"><div class="paper">'
        f'<img src="{data_uri(prediction.model_input)}" decoding="sync" alt=""></div>'
        f"<b>{prediction.digit}</b><span>{probability(prediction.confidence)}</span><em>{doubt}</em></li>"
    )
