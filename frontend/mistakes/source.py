"""What the Mistakes page asks the server for. Everything here raises ClientError."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import streamlit as st
from digits.client.choices import Dataset
from digits.client.records import (
    Comparison,
    LikelyLabelErrors,
    MisclassifiedDigit,
    MisclassifiedDigits,
    Model,
)

from frontend import connection
from frontend.mistakes.view import View

TILES = 100
LARGEST_PAGE = 1000

_TOKENS = "mistakes_tokens"


class Listed(Protocol):
    """A page of a list."""

    @property
    def digits(self) -> tuple[Any, ...]:
        """The digits of this page; each has an `index`."""

    @property
    def next_page_token(self) -> str:
        """For the page after this one; empty after the last."""

    @property
    def total_size(self) -> int:
        """Number of digits on all pages."""


Page = TypeVar("Page", bound=Listed)


def turn(view: View, ask: Callable[[str], Page]) -> tuple[Page, int]:
    """The page that a view shows, or the last one where there are not so many; and its number.

    `ask` gets a page by its token. The tokens on the way are kept, so that the next turn is one call.
    """
    scope, tokens = st.session_state.get(_TOKENS, (None, []))
    if scope != view.listing:
        tokens = [""]
        st.session_state[_TOKENS] = (view.listing, tokens)
    number = min(view.page, len(tokens))
    found = ask(tokens[number - 1])
    while number < view.page and found.next_page_token:
        number += 1
        if number > len(tokens):
            tokens.append(found.next_page_token)
        found = ask(tokens[number - 1])
    if found.next_page_token and number == len(tokens):
        tokens.append(found.next_page_token)
    return found, number


def page_of(index: int, ask: Callable[[str], Listed]) -> int | None:
    """The number, from 1, of the page that holds the digit with this index; None if none does."""
    token, number = "", 1
    while True:
        found = ask(token)
        if any(digit.index == index for digit in found.digits):
            return number
        if not (token := found.next_page_token):
            return None
        number += 1


def mistakes(view: View, page_size: int, page_token: str = "") -> MisclassifiedDigits:
    """One page of the mistakes that a view shows."""
    return connection.client().list_misclassified(
        model_version=view.model_version,
        dataset=view.dataset,
        true_digit=view.true_digit,
        predicted_digit=view.predicted_digit,
        min_confidence=view.low / 100,
        max_confidence=view.high / 100,
        order=view.order,
        seed=view.seed,
        page_size=page_size,
        page_token=page_token,
    )


def every_mistake(view: View) -> Iterator[MisclassifiedDigit]:
    """All mistakes that a view shows, in its order."""
    token = ""
    while True:
        found = mistakes(view, LARGEST_PAGE, token)
        yield from found.digits
        if not (token := found.next_page_token):
            return


def label_errors(view: View, page_size: int, page_token: str = "") -> LikelyLabelErrors:
    """One page of the digits whose label is likely wrong, the surest first."""
    return connection.client().list_likely_label_errors(
        model_version=view.model_version, dataset=view.dataset, page_size=page_size, page_token=page_token
    )


def comparison(view: View, page_size: int, page_token: str = "") -> Comparison:
    """How the two versions of a view differ, and one page of the digits that it shows."""
    return connection.client().compare_models(
        view.model_version,
        base_version=view.base_version,
        dataset=view.dataset,
        outcome=view.outcome,
        true_digit=view.true_digit,
        page_size=page_size,
        page_token=page_token,
    )


def correct_label(version: int, dataset: Dataset, index: int) -> int | None:
    """What a person said that a marked digit is, where a version reads it as another than its label."""
    token = ""
    while True:
        found = connection.client().list_likely_label_errors(
            model_version=version, dataset=dataset, page_size=LARGEST_PAGE, page_token=token
        )
        for digit in found.digits:
            if digit.index == index:
                return digit.correct_label
        if not (token := found.next_page_token):
            return None


def every_model() -> list[Model]:
    """All versions, newest first."""
    models: list[Model] = []
    token = ""
    while True:
        found = connection.client().list_models(100, token)
        models += found.models
        if not (token := found.next_page_token):
            return models
