"""What people say of the labels: marks that lie over the data sets, which themselves are never altered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, insert, select

from server.database import begin_durably
from server.database import mislabelled as table
from server.datasets import Dataset, Digits
from server.errors import InvalidArgument
from server.evaluation.misclassified import Mistakes
from server.metrics import wilson_interval

Marked = dict[int, int | None]
"""The marked digits of a data set by their place: what they are instead, None where nobody said it."""


@dataclass(frozen=True)
class WithoutMislabelled:
    """An accuracy again, without the images that are marked as labelled wrongly."""

    mislabelled: int
    """How many images are marked; at least 1, and not all of them."""
    accuracy: float
    accuracy_low: float
    """Wilson's 95 % interval, lower end."""
    accuracy_high: float


class Marks:
    """The table of marks. May be used from any thread."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def mark(self, dataset: Dataset, digits: Digits, index: int, correct_label: int | None) -> None:
        """Note that a digit is labelled wrongly, and what it is instead. A later mark takes the place of it.

        Raises InvalidArgument for an index outside of the data set, or when `correct_label` is the label.
        """
        sha256 = _content_sha256(digits, _checked(index, digits))
        if correct_label == int(digits.labels[index]):
            raise InvalidArgument(
                "correct_label", f"expected another digit than the label, which is {correct_label} already"
            )
        values: dict[str, Any] = {"dataset": dataset, "digit_index": index, "sha256": sha256}
        values |= {"correct_label": correct_label, "created": datetime.now(UTC)}
        with begin_durably(self._database) as connection:
            connection.execute(delete(table).where(_is_of(dataset, index, sha256)))
            connection.execute(insert(table).values(values))

    def unmark(self, dataset: Dataset, digits: Digits, index: int) -> None:
        """Take a mark back, if there is one. Raises InvalidArgument for an index outside of the data set."""
        sha256 = _content_sha256(digits, _checked(index, digits))
        with begin_durably(self._database) as connection:
            connection.execute(delete(table).where(_is_of(dataset, index, sha256)))

    def of(self, dataset: Dataset, digits: Digits) -> Marked:
        """The marked ones among these digits. Marks of other digits that were once here are passed over."""
        with self._database.connect() as connection:
            rows = connection.execute(select(table).where(table.c.dataset == dataset)).all()
        return {
            row.digit_index: row.correct_label
            for row in rows
            if row.digit_index < len(digits) and row.sha256 == _content_sha256(digits, row.digit_index)
        }


def without_mislabelled(mistakes: Mistakes, images: int, marked: Marked) -> WithoutMislabelled | None:
    """The accuracy without the marked ones of `images`, of which `mistakes` are misread. None without any."""
    rest = images - len(marked)
    if not marked or not rest:
        return None
    right = rest - sum(index not in marked for index in mistakes.indices.tolist())
    low, high = wilson_interval(right, rest)
    return WithoutMislabelled(len(marked), right / rest, low, high)


def _checked(index: int, digits: Digits) -> int:
    if not 0 <= index < len(digits):
        raise InvalidArgument("index", f"expected 0 to {len(digits) - 1}, got {index}")
    return index


def _content_sha256(digits: Digits, index: int) -> str:
    """Of the pixels and the label: what the mark says is about the two together."""
    return hashlib.sha256(digits.images[index].tobytes() + bytes([digits.labels[index]])).hexdigest()


def _is_of(dataset: Dataset, index: int, sha256: str) -> ColumnElement[bool]:
    return (table.c.dataset == dataset) & (table.c.digit_index == index) & (table.c.sha256 == sha256)
