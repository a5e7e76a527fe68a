"""One digit opened from a gallery, without a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from digits.client import Client
from digits.client.choices import Dataset
from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
Component = Callable[[AppTest, str], Any]
Tiles = Callable[[AppTest], list[dict[str, Any]]]
HtmlOf = Callable[[AppTest], str]


def place(page: AppTest) -> str:
    """Which digit of how many is open: "10 of 250"; empty when none is."""
    leaves = [
        json.loads(each.proto.json)
        for each in page.get("bidi_component")
        if each.proto.component_name == "digit_leaf"
    ]
    return next((f"{leaf['number']} of {leaf['total']}" for leaf in leaves), "")


def test_a_link_opens_the_digit_that_it_names_with_all_there_is_to_know(
    open_mistakes: OpenPage, component: Component, tiles: Tiles
) -> None:
    tenth = tiles(open_mistakes())[9]
    page = open_mistakes(digit=str(tenth["key"]))

    html = component(page, "digit_detail")["html"]
    assert f'aria-label="{tenth["alt"]}"' in html
    assert html.count('<tr class="is-') == 10
    # Those of the three other versions, in the order that they are asked: the deployed one first.
    assert re.findall(r">Version (\d)", html) == ["1", "4", "3"]
    assert place(page) == "10 of 250"


def test_what_the_reading_rests_on_is_laid_over_the_digit_and_said_in_words(
    open_mistakes: OpenPage, component: Component
) -> None:
    html = component(open_mistakes(digit="249"), "digit_detail")["html"]

    assert 'class="heat' in html
    assert re.search(r"its probability (falls|rises) by up to [\d.]+ percentage points", html)


def test_the_most_alike_training_digits_come_by_themselves(
    open_mistakes: OpenPage, component: Component, client: Client, until: Callable[..., None]
) -> None:
    page = open_mistakes(digit="249")
    pixels = client.list_test_digits(Dataset.BUILTIN_TEST, page_size=250).digits[249].pixels

    until(lambda: client.explain_pixels(pixels, model_version=2).neighbours)
    until(lambda: "<li>" in component(page.run(), "digit_detail")["html"])

    html = component(page, "digit_detail")["html"]
    assert html.count("<li>") == 5
    assert re.search(r"\d labelled \d.*The small numbers: how far each is", html)


def test_a_digit_on_another_page_is_found(open_mistakes: OpenPage, html_of: HtmlOf) -> None:
    page = open_mistakes(order="index", digit="230")

    assert place(page) == "231 of 250"
    assert "201–250 of 250 mistakes" in html_of(page)


def test_a_digit_that_is_read_correctly_is_said_not_to_be_there(
    open_mistakes: OpenPage, html_of: HtmlOf
) -> None:
    page = open_mistakes(digit="999")

    assert "Image 999 is not among these digits." in html_of(page)
    assert place(page) == ""
    page.run()
    assert "Image 999" not in html_of(page)
    assert "digit" not in page.query_params


def test_a_label_is_marked_as_wrong_and_the_mark_taken_back(
    open_mistakes: OpenPage, tiles: Tiles, client: Client
) -> None:
    page = open_mistakes(digit="249")
    label = int(tiles(page)[0]["caption"][5])
    said = page.selectbox(key="mistake_said_249")
    assert said.value == (label + 1) % 10  # What the version reads comes first.

    said.set_value((label + 5) % 10).run()
    page.button(key="mistake_mark_button").click().run()

    assert f"Marked: its label **{label}** is wrong, it is a **{(label + 5) % 10}**." in [
        markdown.value for markdown in page.markdown
    ]
    assert tiles(page)[0]["marked"]
    evaluation = client.get_evaluation(model_version=2, dataset=Dataset.BUILTIN_TEST)
    assert evaluation.mislabelled == 1

    page.button(key="mistake_unmark").click().run()
    assert not tiles(page)[0]["marked"]
    assert client.get_evaluation(model_version=2, dataset=Dataset.BUILTIN_TEST).mislabelled == 0


def test_what_a_person_said_a_digit_is_is_told_in_every_list(open_mistakes: OpenPage, client: Client) -> None:
    label = client.list_test_digits(Dataset.BUILTIN_TEST, page_size=121).digits[120].label
    client.mark_mislabelled(Dataset.BUILTIN_TEST, 120, correct_label=(label + 5) % 10)
    # In each of them the digit is there: version 2 misreads it, version 4 does not any more.
    lists: tuple[dict[str, str], ...] = (
        {},
        {"view": "labels"},
        {"view": "compare", "version": "4", "base": "2", "outcome": "fixed"},
    )

    for query in lists:
        page = open_mistakes(digit="120", **query)
        (said,) = [markdown.value for markdown in page.markdown if markdown.value.startswith("Marked")]
        assert said.endswith(f"is wrong, it is a **{(label + 5) % 10}**.")
