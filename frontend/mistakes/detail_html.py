"""One digit opened, as HTML: its image and what the reading rests on, its probabilities, other answers."""

from __future__ import annotations

from collections import Counter
from html import escape

from digits.client.records import Explanation, Prediction

from frontend import wording
from frontend.gallery import data_uri
from frontend.mistakes import occlusion
from frontend.mistakes.evidence import Evidence
from frontend.mistakes.subject import Subject


def detail_html(subject: Subject, evidence: Evidence, explained: int, facts: str) -> str:
    """All parts of it. `explained` is the digit that the map is about; `facts` stands in small print."""
    return (
        f'<div class="detail">{_picture_html(subject, evidence, explained)}'
        f'<section class="shares"><h3>Probability of each digit</h3>{bars_html(subject)}'
        f'<p class="small">{escape(facts)}</p></section>'
        f'<div class="beside"><section class="alike"><h3>Most alike of the training digits</h3>'
        f"{likes_html(evidence.explanation)}</section>"
        f"<section><h3>What other versions read</h3>{answers_html(subject, evidence)}</section></div></div>"
    )


def _picture_html(subject: Subject, evidence: Evidence, explained: int) -> str:
    explanation = evidence.explanation
    said = (
        occlusion.legend_html(explanation)
        if explanation
        else f'<p class="legend-words">{escape(evidence.problem)}</p>'
    )
    buttons = ""
    if subject.rival != subject.read:
        buttons = '<div class="ask" role="group" aria-label="What is explained">' + "".join(
            f'<button type="button" data-explain="{digit}" aria-pressed="{str(digit == explained).lower()}">'
            f"{words} {digit}?</button>"
            for words, digit in (("Why a", subject.read), ("Why not a", subject.rival))
        )
        buttons += "</div>"
    return (
        f'<section class="picture"><h3>{heading(subject)}</h3>'
        f"{occlusion.sheet_html(subject.pixels, explanation, subject.alt)}{buttons}{said}</section>"
    )


def heading(subject: Subject) -> str:
    """What became of it, in a line."""
    if subject.is_misread:
        return f"Labelled {subject.label}, read as {subject.read}"
    return f"Read as {subject.read}, as it is labelled"


def bars_html(subject: Subject) -> str:
    """Ten bars, of which the digit that was read and the label stand out."""
    names = {subject.read: "read", subject.label: "label"}
    if not subject.is_misread:
        names = {subject.label: "right"}
    rows = "".join(
        f'<tr class="is-{names.get(digit, "other")}"><th scope="row">{digit}</th><td class="name">'
        f"{names.get(digit, '')}</td>"
        f'<td><div class="bar"><i style="inline-size:{share * 100:.2f}%"></i></div></td>'
        f'<td class="figure">{wording.percent(share)}</td></tr>'
        for digit, share in enumerate(subject.probabilities)
    )
    return f'<table class="bars" aria-label="Probability of each digit"><tbody>{rows}</tbody></table>'


def likes_html(explanation: Explanation | None) -> str:
    """The nearest training digits with their labels, and how far they are."""
    if explanation is None:
        return '<p class="small">Not known.</p>'
    if not explanation.neighbours:
        return f'<p class="small">{escape(wording.sentence(explanation.neighbours_missing))}</p>'
    tiles = "".join(
        f'<li><i class="ink" role="img" aria-label="training digit labelled {each.label}" '
        f'style="--mask:url({data_uri(each.pixels)})"></i><b>{each.label}</b>'
        f"<span>{each.distance:.3f}</span></li>"
        for each in explanation.neighbours
    )
    counts = Counter(each.label for each in explanation.neighbours).most_common()
    said = ", ".join(f"{count} labelled {label}" for label, count in counts)
    return (
        f'<ol class="likes">{tiles}</ol><p class="small">{said}. The small numbers: how far '
        "each is in what the version itself sees, from 0 (alike) to 2.</p>"
    )


def answers_html(subject: Subject, evidence: Evidence) -> str:
    """A line for each other version: what it reads, how sure it is, and whether that is the label."""
    if not evidence.answers:
        return '<p class="small">There is no other version yet. Train one, and its answer appears here.</p>'
    rows = "".join(
        f'<tr><th scope="row">Version {each.model.model_version} <span>{escape(each.model.provenance.recipe)}'
        f"{', deployed' if each.model.is_deployed else ''}</span></th>"
        f"{_answer_html(each.prediction, subject.label)}</tr>"
        for each in evidence.answers
    )
    more = ""
    if evidence.left_out:
        more = f'<p class="small">{wording.count(evidence.left_out, "older version")} not asked.</p>'
    return f'<table class="answers"><tbody>{rows}</tbody></table>{more}'


def _answer_html(prediction: Prediction | None, label: int) -> str:
    if prediction is None:
        return '<td colspan="2" class="small">no answer</td>'
    is_right = prediction.digit == label
    sure = wording.probability(prediction.confidence)
    return (
        f'<td class="{"is-right" if is_right else "is-wrong"}"><b>{prediction.digit}</b> '
        f'<span>{"the label" if is_right else "not the label"}</span></td><td class="figure">{sure}</td>'
    )
