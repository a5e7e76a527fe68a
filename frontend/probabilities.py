"""The answer to an image, as HTML that keeps its places and sizes whether there is an answer or not."""

from __future__ import annotations

from html import escape

from digits.client.records import Answer, Timings

from frontend.gallery import data_uri
from frontend.wording import probability

LIKELY = 0.05
"""From this probability on a digit is worth a thought, in [0, 1]."""


def answer_html(answer: Answer | None, *, title: str = "", hint: str = "", is_wrong: bool = False) -> str:
    """The digit, how sure the model is, and ten bars. Texts are escaped here.

    `title` and `hint` say what to do while there is no answer; with one, `hint` is a remark below it, and in
    red when `is_wrong`. Where the model is uncertain, that is said in place of a bold claim.
    """
    state = "is-empty"
    if answer is not None and answer.prediction.is_uncertain:
        state, title, hint = "is-uncertain", "Not sure", hint or "It may be no digit."
    elif answer is not None:
        state, title = "", f"{probability(answer.prediction.confidence)} sure"
    # The style sheet makes these stand out among the digits that it may be instead.
    likely = "".join(f" may-be-{digit}" for digit in _alternatives(answer))
    return (
        f'<section class="answer {state}{likely}" aria-label="The answer">'
        '<div class="reading" role="status">'
        f"{_digit_html(answer)}"
        f'<div class="sureness">{escape(title)}</div>'
        f'<div class="remark{" is-wrong" if is_wrong else ""}">{escape(hint)}</div>'
        f"</div>{_bars_html(answer)}</section>"
    )


def _alternatives(answer: Answer | None) -> list[int]:
    """The digits that are likely besides the one that was read."""
    if answer is None:
        return []
    shares = enumerate(answer.prediction.probabilities)
    return [digit for digit, share in shares if share >= LIKELY and digit != answer.prediction.digit]


def _digit_html(answer: Answer | None) -> str:
    if answer is None:
        return '<div class="digit" aria-hidden="true">?</div>'
    return f'<div class="digit">{answer.prediction.digit}</div>'


def _bars_html(answer: Answer | None) -> str:
    """Ten bars, one for each digit; empty ones without an answer."""
    probabilities = answer.prediction.probabilities if answer else (0.0,) * 10
    best = answer.prediction.digit if answer else -1
    rows = "".join(
        f'<div class="bar{" is-best" if digit == best else ""}"><span>{digit}</span>'
        f'<i><b style="width:{share * 100:.2f}%"></b></i>'
        f"<span>{probability(share) if answer else ''}</span></div>"
        for digit, share in enumerate(probabilities)
    )
    said = (
        ", ".join(f"{digit}: {probability(p)}" for digit, p in enumerate(probabilities))
        if answer
        else "none yet"
    )
    return f'<div class="bars" role="img" aria-label="Probabilities: {escape(said)}">{rows}</div>'


def seen_html(answer: Answer | None) -> str:
    """The 28x28 pixels that the model read, enlarged; which version it was, and how long it took."""
    image = small_print = ""
    if answer is not None:
        # Painted together with the texts, or it would blink when one answer follows another.
        image = (
            f'<img src="{data_uri(answer.prediction.model_input)}" decoding="sync" '
            'alt="The pixels that the model saw">'
        )
        small_print = steps(answer.model_version, answer.timings)
    state = "" if image else " is-empty"
    return (
        f'<figure class="seen{state}"><div>{image}</div><figcaption>What the model sees: 28×28 pixels'
        f'<div class="small-print">{escape(small_print)}</div></figcaption></figure>'
    )


def steps(model_version: int, timings: Timings) -> str:
    """Which version answered, and how long each step took on the server."""
    parts = (
        ("decode", timings.decode_ms),
        ("prepare", timings.preprocess_ms),
        ("wait", timings.queue_ms),
        ("model", timings.engine_ms),
    )
    shown = " · ".join(f"{name} {milliseconds:.2f} ms" for name, milliseconds in parts)
    return f"Version {model_version} · {shown} · in all {timings.total_ms:.1f} ms"
