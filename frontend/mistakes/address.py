"""A view as an address, which can be sent to somebody: it opens the page with the same digits.

What has its default is left out, and what makes no sense in an address is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping

from digits.client.choices import ComparisonOutcome, Dataset, MisclassifiedOrder

from frontend.mistakes.view import Part, View


def from_query(query: Mapping[str, str]) -> View:
    """The view that an address asks for."""
    start = View()
    part = query.get("view", "").lower()
    low, _, high = query.get("sure", "").partition("-")
    lowest, highest = _whole(low, 0, 100), _whole(high, 0, 100)
    if lowest is None or highest is None or lowest > highest:
        lowest, highest = start.low, start.high
    return View(
        part=Part(part) if part in list(Part) else start.part,
        model_version=_whole(query.get("version"), 1, 10**9) or 0,
        base_version=_whole(query.get("base"), 1, 10**9) or 0,
        dataset=Dataset.__members__.get(query.get("data", "").upper(), start.dataset),
        true_digit=_whole(query.get("true"), 0, 9),
        predicted_digit=_whole(query.get("read"), 0, 9),
        low=lowest,
        high=highest,
        order=MisclassifiedOrder.__members__.get(query.get("order", "").upper()) or start.order,
        seed=_whole(query.get("seed"), 0, 2**31 - 1) or start.seed,
        outcome=ComparisonOutcome.__members__.get(query.get("outcome", "").upper(), start.outcome),
        page=_whole(query.get("page"), 1, 10**6) or start.page,
        digit=_whole(query.get("digit"), 0, 10**9),
    )


def to_query(view: View) -> dict[str, str]:
    """The address of a view: only what differs from the defaults, and what its part of the page shows."""
    start = View()
    is_misread, is_compare = view.part is Part.MISREAD, view.part is Part.COMPARE
    is_shuffled = view.order is MisclassifiedOrder.RANDOM
    said: dict[str, str | None] = {
        "view": view.part.value if view.part is not start.part else None,
        "version": str(view.model_version) if view.model_version else None,
        "base": str(view.base_version) if is_compare and view.base_version else None,
        "data": view.dataset.name.lower() if view.dataset else None,
        "outcome": view.outcome.name.lower() if is_compare and view.outcome else None,
        "true": _said(view.true_digit) if view.part is not Part.LABELS else None,
        "read": _said(view.predicted_digit) if is_misread else None,
        "sure": f"{view.low}-{view.high}" if is_misread and (view.low, view.high) != (0, 100) else None,
        "order": view.order.name.lower() if is_misread and view.order is not start.order else None,
        "seed": str(view.seed) if is_misread and is_shuffled else None,
        "page": str(view.page) if view.page > 1 else None,
        "digit": _said(view.digit),
    }
    return {name: value for name, value in said.items() if value is not None}


def _said(number: int | None) -> str | None:
    return None if number is None else str(number)


def _whole(text: str | None, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`, or None."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    return int(text) if low <= int(text) <= high else None
