"""Two versions on the same digits, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from digits.client.choices import ComparisonOutcome
from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]
Tiles = Callable[[AppTest], list[dict[str, Any]]]
Component = Callable[[AppTest, str], Any]

# Version 2 misreads the digits 0 to 249, version 4 those from 0 to 99 and from 250 to 269.
TWO_VERSIONS = {"view": "compare", "version": "4", "base": "2"}


def test_it_tells_what_was_fixed_and_broken_and_whether_that_is_chance(
    open_mistakes: OpenPage, html_of: HtmlOf
) -> None:
    html = html_of(open_mistakes(**TWO_VERSIONS))

    assert "150 fixed, <span>20</span> newly broken" in html
    assert "Of 1,000 digits, 100 are misread by both, 730 by neither." in html
    assert "Version 4 is better than version 2, and that is hardly chance" in html
    assert "72.22–77.58 %" in html
    assert "85.84–89.87 %" in html


def test_each_tile_has_both_answers_the_wrong_ones_in_red(open_mistakes: OpenPage, tiles: Tiles) -> None:
    page = open_mistakes(**TWO_VERSIONS, outcome="fixed")

    fixed = tiles(page)
    assert [tile["key"] for tile in fixed] == [*range(100, 200)]
    for tile in fixed:
        true = int(tile["caption"].removeprefix("true "))
        before, after = tile["lines"]
        assert before["text"].startswith(f"v2: {(true + 1) % 10} ·")
        assert after["text"].startswith(f"v4: {true} ·")
        assert [before["is_wrong"], after["is_wrong"]] == [True, False]


@pytest.mark.parametrize(
    ("outcome", "count"),
    [
        (ComparisonOutcome.UNSPECIFIED, 270),
        (ComparisonOutcome.FIXED, 150),
        (ComparisonOutcome.BROKEN, 20),
        (ComparisonOutcome.BOTH_WRONG, 100),
    ],
)
def test_an_outcome_filters_and_stands_in_the_address(
    open_mistakes: OpenPage, html_of: HtmlOf, outcome: ComparisonOutcome, count: int
) -> None:
    page = open_mistakes(**TWO_VERSIONS)
    names = {
        ComparisonOutcome.UNSPECIFIED: "All 270",
        ComparisonOutcome.FIXED: "Fixed 150",
        ComparisonOutcome.BROKEN: "Newly broken 20",
        ComparisonOutcome.BOTH_WRONG: "Both wrong 100",
    }
    (control,) = [one for one in page.button_group if one.key == "mistakes_outcome"]

    control.select(names[outcome]).run()

    assert f"of {count:,} digits" in html_of(page)
    assert dict(page.query_params).get("outcome") == (outcome.name.lower() if outcome else None)


def test_the_difference_of_the_confusion_matrices_has_signs(
    open_mistakes: OpenPage, component: Component
) -> None:
    matrix = component(open_mistakes(**TWO_VERSIONS), "digit_confusion_matrix")

    cells = [cell for row in matrix["cells"] for cell in row if cell["text"]]
    assert {cell["kind"] for cell in cells} >= {"right", "less"}
    for cell in cells:
        assert cell["text"][0] in "+−"
    wrong = sum(int(cell["text"].replace("−", "-")) for cell in cells if cell["kind"] != "right")
    assert wrong == 20 - 150


def test_without_a_choice_the_deployed_version_is_what_is_compared_with(
    open_mistakes: OpenPage, html_of: HtmlOf
) -> None:
    page = open_mistakes(view="compare", version="4")

    assert page.selectbox(key="mistakes_base_version").value == 1
    # It was not measured on the other's test set yet: that is offered, not refused.
    assert "Version 1 was not measured on the built-in test digits yet." in html_of(page)


def test_a_version_is_never_compared_with_itself(open_mistakes: OpenPage) -> None:
    page = open_mistakes(view="compare", version="4", base="4")

    assert page.selectbox(key="mistakes_base_version").value != 4
    assert not [name for name in page.selectbox(key="mistakes_base_version").options if "Version 4" in name]


def test_versions_without_a_run_say_why_there_is_no_curve(open_mistakes: OpenPage, html_of: HtmlOf) -> None:
    assert html_of(open_mistakes(**TWO_VERSIONS)).count("No learning curve.") == 2
