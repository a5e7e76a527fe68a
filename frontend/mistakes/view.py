"""What the Mistakes page looks at: its part, versions, data set, filters, order, and the open digit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from digits.client.choices import ComparisonOutcome, Dataset, MisclassifiedOrder

from frontend.confusion import Cell


class Part(StrEnum):
    """The parts of the page, by their names in the address. Only the one in sight does any work."""

    MISREAD = "misread"
    LABELS = "labels"
    COMPARE = "compare"


PARTS: Mapping[Part, str] = {
    Part.MISREAD: "Misread digits",
    Part.LABELS: "Likely label errors",
    Part.COMPARE: "Two versions",
}
ORDERS: Mapping[MisclassifiedOrder, str] = {
    MisclassifiedOrder.CONFIDENCE: "Most confident first",
    MisclassifiedOrder.LOSS: "Largest loss first",
    MisclassifiedOrder.MARGIN: "Largest margin first",
    MisclassifiedOrder.INDEX: "As in the data set",
    MisclassifiedOrder.RANDOM: "Shuffled",
}


@dataclass(frozen=True)
class View:
    """Version 0 is the deployed one, base version 0 the most suitable, an unset data set its own test set.

    None stands for any digit. `low` and `high` bound the confidence, in whole percent, both included. `page`
    counts from 1. `digit` is the place in the data set of the digit that is open, None when none is.
    """

    part: Part = Part.MISREAD
    model_version: int = 0
    base_version: int = 0
    dataset: Dataset = Dataset.UNSPECIFIED
    true_digit: int | None = None
    predicted_digit: int | None = None
    low: int = 0
    high: int = 100
    order: MisclassifiedOrder = MisclassifiedOrder.CONFIDENCE
    seed: int = 1
    outcome: ComparisonOutcome = ComparisonOutcome.UNSPECIFIED
    page: int = 1
    digit: int | None = None

    @property
    def cell(self) -> Cell:
        """The choice of digits, as the confusion matrix marks it."""
        return Cell(self.true_digit, self.predicted_digit)

    @property
    def is_filtered(self) -> bool:
        """Whether some mistakes may be left out."""
        return (self.true_digit, self.predicted_digit, self.low, self.high) != (None, None, 0, 100)

    @property
    def listing(self) -> View:
        """All that decides which digits are listed, and in which order: the same for all of its pages."""
        return replace(self, page=1, digit=None)

    def without_filters(self) -> View:
        """The same part, versions, data set and order, with every digit, from the first."""
        return replace(
            self.listing,
            true_digit=None,
            predicted_digit=None,
            low=0,
            high=100,
            outcome=ComparisonOutcome.UNSPECIFIED,
        )
