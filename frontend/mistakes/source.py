"""What the Mistakes page asks the server for. Everything here raises ClientError."""

from __future__ import annotations

from collections.abc import Iterator

from frontend import connection
from frontend.mistakes.view import View
from frontend.records import MisclassifiedDigit, MisclassifiedDigits, Model

LARGEST_PAGE = 1000


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


def every_model() -> list[Model]:
    """All versions, newest first."""
    models: list[Model] = []
    token = ""
    while True:
        found = connection.client().list_models(100, token)
        models += found.models
        if not (token := found.next_page_token):
            return models
