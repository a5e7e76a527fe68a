"""What the Mistakes page shows, as an address."""

from __future__ import annotations

from dataclasses import replace

import pytest
from digits.client.choices import ComparisonOutcome, Dataset, MisclassifiedOrder

from frontend.mistakes.address import from_query, to_query
from frontend.mistakes.view import Part, View

EVERYTHING = View(
    model_version=3,
    dataset=Dataset.BUILTIN_TEST,
    true_digit=0,
    predicted_digit=9,
    low=50,
    high=99,
    order=MisclassifiedOrder.RANDOM,
    seed=7,
    page=2,
    digit=0,
)
COMPARED = View(
    part=Part.COMPARE,
    model_version=4,
    base_version=2,
    dataset=Dataset.MNIST_TEST,
    true_digit=8,
    outcome=ComparisonOutcome.BOTH_WRONG,
    digit=9729,
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
        "page": "2",
        "digit": "0",
    }
    assert from_query(to_query(EVERYTHING)) == EVERYTHING


def test_so_does_that_of_a_comparison() -> None:
    assert to_query(COMPARED) == {
        "view": "compare",
        "version": "4",
        "base": "2",
        "data": "mnist_test",
        "outcome": "both_wrong",
        "true": "8",
        "digit": "9729",
    }
    assert from_query(to_query(COMPARED)) == COMPARED


def test_an_address_tells_only_what_its_part_of_the_page_shows() -> None:
    labels = replace(EVERYTHING, part=Part.LABELS)

    assert to_query(labels) == {
        "view": "labels",
        "version": "3",
        "data": "builtin_test",
        "page": "2",
        "digit": "0",
    }


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
        {"view": "everything"},
        {"outcome": "lost"},
        {"page": "0"},
        {"digit": "last"},
        {"utm_source": "x"},
    ],
)
def test_nonsense_in_an_address_is_ignored(query: dict[str, str]) -> None:
    assert from_query(query) == View()


def test_clearing_the_filters_keeps_version_data_set_and_order() -> None:
    assert EVERYTHING.is_filtered
    cleared = EVERYTHING.without_filters()

    assert not cleared.is_filtered
    assert (cleared.page, cleared.digit) == (1, None)
    assert (cleared.model_version, cleared.dataset, cleared.order) == (
        EVERYTHING.model_version,
        EVERYTHING.dataset,
        EVERYTHING.order,
    )
