"""What the Mistakes page shows, as an address."""

from __future__ import annotations

import pytest

from frontend.choices import Dataset, MisclassifiedOrder
from frontend.mistakes.view import View, from_query, to_query

EVERYTHING = View(
    model_version=3,
    dataset=Dataset.BUILTIN_TEST,
    true_digit=0,
    predicted_digit=9,
    low=50,
    high=99,
    order=MisclassifiedOrder.RANDOM,
    seed=7,
)


def test_the_address_of_a_view_leads_back_to_it() -> None:
    assert to_query(EVERYTHING) == {
        "version": "3",
        "data": "builtin_test",
        "true": "0",
        "read": "9",
        "sure": "50-99",
        "order": "random",
        "seed": "7",
    }
    assert from_query(to_query(EVERYTHING)) == EVERYTHING


def test_what_has_its_default_is_not_in_the_address() -> None:
    assert to_query(View()) == {}
    assert from_query({}) == View()


@pytest.mark.parametrize(
    "query",
    [
        {"version": "-1"},
        {"version": "newest"},
        {"version": "9" * 40},
        {"data": "faces"},
        {"true": "10"},
        {"true": "²"},
        {"read": ""},
        {"sure": "80"},
        {"sure": "80-20"},
        {"sure": "0-101"},
        {"order": "beauty"},
        {"order": "unspecified"},
        {"seed": "1.5"},
        {"utm_source": "x"},
    ],
)
def test_nonsense_in_an_address_is_ignored(query: dict[str, str]) -> None:
    assert from_query(query) == View()


def test_clearing_the_filters_keeps_version_data_set_and_order() -> None:
    assert EVERYTHING.is_filtered
    cleared = EVERYTHING.without_filters()

    assert not cleared.is_filtered
    assert (cleared.model_version, cleared.dataset, cleared.order) == (
        EVERYTHING.model_version,
        EVERYTHING.dataset,
        EVERYTHING.order,
    )
