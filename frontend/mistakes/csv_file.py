"""Mistakes as a CSV file: one line each, with all ten probabilities."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from digits.client.records import MisclassifiedDigit

HEADER = (
    "index",
    "true_digit",
    "predicted_digit",
    "confidence",
    "loss",
    *(f"p{digit}" for digit in range(10)),
    "margin",
    "is_marked_mislabelled",
)


def to_csv(digits: Iterable[MisclassifiedDigit]) -> bytes:
    """The digits in their order, in UTF-8; `index` is the place in the data set, `loss` is in nats."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for digit in digits:
        shares = (f"{share:.6g}" for share in digit.probabilities)
        writer.writerow(
            (
                digit.index,
                digit.true_digit,
                digit.predicted_digit,
                f"{digit.confidence:.6g}",
                f"{digit.loss:.6g}",
                *shares,
                f"{digit.margin:.6g}",
                str(digit.is_marked_mislabelled).lower(),
            )
        )
    return text.getvalue().encode()
