"""Likely label errors and their marks, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from digits.client import Client
from digits.client.choices import Dataset
from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]
Tiles = Callable[[AppTest], list[dict[str, Any]]]


def test_the_surest_come_first_each_with_a_button_that_says_what_it_is(
    open_mistakes: OpenPage, tiles: Tiles, html_of: HtmlOf
) -> None:
    page = open_mistakes(view="labels")

    shown = tiles(page)
    assert [tile["key"] for tile in shown] == [*range(249, 149, -1)]
    label = int(shown[0]["caption"].split(",")[0].removeprefix("label "))
    assert shown[0]["caption"] == f"label {label}, rather {(label + 1) % 10}"
    assert shown[0]["action"]["text"] == f"It is a {(label + 1) % 10}"
    assert not shown[0]["action"]["is_pressed"]
    assert "Without the marked ones: none is marked yet." in html_of(page)


def test_a_mark_is_seen_on_its_tile_and_in_the_accuracy(
    open_mistakes: OpenPage, tiles: Tiles, html_of: HtmlOf, client: Client
) -> None:
    client.mark_mislabelled(Dataset.BUILTIN_TEST, 249, correct_label=0)
    client.mark_mislabelled(Dataset.BUILTIN_TEST, 248)

    page = open_mistakes(view="labels")

    first, second, third = tiles(page)[:3]
    assert [tile["marked"] for tile in (first, second, third)] == [True, True, False]
    assert first["action"]["text"] == "✓ It is a 0"
    assert second["action"]["text"] == "✓ It is no digit"
    html = html_of(page)
    assert "Without the 2 marked" in html
    # 750 of the 998 others are right.
    assert "75.15 %" in html
    assert "72.38–77.73 %" in html


def test_the_headline_of_the_misread_digits_tells_it_too(
    open_mistakes: OpenPage, html_of: HtmlOf, client: Client
) -> None:
    client.mark_mislabelled(Dataset.BUILTIN_TEST, 249)

    assert "Without the 1 digit marked as labelled wrongly: 75.08 % right, 95 % interval" in html_of(
        open_mistakes()
    )


def test_a_version_that_doubts_no_label_says_so(open_mistakes: OpenPage, html_of: HtmlOf) -> None:
    assert "No label looks wrong." in html_of(open_mistakes(view="labels", version="3"))
