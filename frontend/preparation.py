"""Why preparation matters: the plain resize and the normalised image, and what the model makes of each."""

from __future__ import annotations

from html import escape

from digits.client.records import Answer

from frontend.gallery import data_uri
from frontend.wording import probability

RESIZED = (
    "Plain resize",
    "The whole image, shrunk. A small digit is left with few pixels, one in a corner stays there: the "
    "training digits were never like that.",
)
NORMALISED = (
    "MNIST normalisation",
    "Cropped to the ink, scaled to 20×20, centred by weight: just as the training digits were prepared.",
)
EMPTY = (
    '<div class="small-print">Draw or upload a digit, best a small one in a corner, to see it prepared '
    "in both ways.</div>"
)


def comparison_html(*, resized: Answer, normalised: Answer) -> str:
    """The two images side by side, enlarged, each with its reading. Texts are escaped here."""
    return (
        f'<div class="comparison">{_side_html(*RESIZED, resized)}{_side_html(*NORMALISED, normalised)}</div>'
    )


def _side_html(title: str, explanation: str, answer: Answer) -> str:
    prediction = answer.prediction
    sureness = probability(prediction.confidence)
    return (
        f'<figure><div class="paper"><img src="{data_uri(prediction.model_input)}" decoding="sync" '
        f'alt="The 28×28 pixels after: {escape(title)}"></div><figcaption><b>{escape(title)}</b>'
        f'<div class="made-of-it{" is-uncertain" if prediction.is_uncertain else ""}">'
        f"<strong>{prediction.digit}</strong> "
        f"{'not sure, ' if prediction.is_uncertain else ''}{sureness}</div>"
        f'<div class="small-print">{escape(explanation)}</div></figcaption></figure>'
    )
