"""What the Mistakes page looks at: one version, one data set, filters and order; all of it as an address.

A view in the address can be sent to somebody: it opens the page with the same digits. What has its default is
left out, and what makes no sense in an address is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from frontend.choices import Dataset, MisclassifiedOrder
from frontend.confusion import Cell

ORDERS: Mapping[MisclassifiedOrder, str] = {
    MisclassifiedOrder.CONFIDENCE: "Most confident first",
    MisclassifiedOrder.LOSS: "Largest loss first",
    MisclassifiedOrder.INDEX: "As in the data set",
    MisclassifiedOrder.RANDOM: "Shuffled",
}


@dataclass(frozen=True)
class View:
    """Version 0 is the deployed one, an unset data set its own test set. None stands for any digit.

    `low` and `high` bound the confidence, in whole percent, both included.
    """

    model_version: int = 0
    dataset: Dataset = Dataset.UNSPECIFIED
    true_digit: int | None = None
    predicted_digit: int | None = None
    low: int = 0
    high: int = 100
    order: MisclassifiedOrder = MisclassifiedOrder.CONFIDENCE
    seed: int = 1

    @property
    def cell(self) -> Cell:
        """The choice of digits, as the confusion matrix marks it."""
        return Cell(self.true_digit, self.predicted_digit)

    @property
    def is_filtered(self) -> bool:
        """Whether some mistakes may be left out."""
        return (self.true_digit, self.predicted_digit, self.low, self.high) != (None, None, 0, 100)

    def without_filters(self) -> View:
        """The same version, data set and order, with every mistake."""
        return replace(self, true_digit=None, predicted_digit=None, low=0, high=100)


def from_query(query: Mapping[str, str]) -> View:
    """The view that an address asks for."""
    start = View()
    low, _, high = query.get("sure", "").partition("-")
    lowest, highest = _whole(low, 0, 100), _whole(high, 0, 100)
    if lowest is None or highest is None or lowest > highest:
        lowest, highest = start.low, start.high
    return View(
        model_version=_whole(query.get("version"), 1, 10**9) or 0,
        dataset=Dataset.__members__.get(query.get("data", "").upper(), start.dataset),
        true_digit=_whole(query.get("true"), 0, 9),
        predicted_digit=_whole(query.get("read"), 0, 9),
        low=lowest,
        high=highest,
        order=MisclassifiedOrder.__members__.get(query.get("order", "").upper()) or start.order,
        seed=_whole(query.get("seed"), 0, 2**31 - 1) or start.seed,
    )


def to_query(view: View) -> dict[str, str]:
    """The address of a view: only what differs from the defaults."""
    start = View()
    query: dict[str, str] = {}
    if view.model_version:
        query["version"] = str(view.model_version)
    if view.dataset:
        query["data"] = view.dataset.name.lower()
    if view.true_digit is not None:
        query["true"] = str(view.true_digit)
    if view.predicted_digit is not None:
        query["read"] = str(view.predicted_digit)
    if (view.low, view.high) != (start.low, start.high):
        query["sure"] = f"{view.low}-{view.high}"
    if view.order is not start.order:
        query["order"] = view.order.name.lower()
    if view.order is MisclassifiedOrder.RANDOM:
        query["seed"] = str(view.seed)
    return query


def _whole(text: str | None, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`, or None."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    return int(text) if low <= int(text) <= high else None
