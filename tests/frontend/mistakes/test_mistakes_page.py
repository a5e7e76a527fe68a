"""The Mistakes page without a browser: what a version misreads, filtered, ordered, measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from digits.client import Client
from digits.client.choices import EvaluationState, MisclassifiedOrder
from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]
Tiles = Callable[[AppTest], list[dict[str, Any]]]
Component = Callable[[AppTest, str], Any]

SHIPPED, POOR, PERFECT = 1, 2, 3
WRONG = 250


def picker(page: AppTest, name: str) -> Any:
    """The select box of a part of the view: another one whenever the page itself sets it."""
    (box,) = [box for box in page.selectbox if re.fullmatch(rf"mistakes_{name}(-\d+)?", str(box.key))]
    return box


def test_the_headline_tells_how_many_of_how_many_with_an_interval(
    open_mistakes: OpenPage, html_of: HtmlOf
) -> None:
    html = html_of(open_mistakes())

    assert "<span>250</span> of 1,000 wrong" in html
    assert "75.00 % right, 95 % interval 72.22–77.58 %" in html


def test_a_page_of_the_gallery_is_a_hundred_tiles_in_one_component(
    open_mistakes: OpenPage, tiles: Tiles
) -> None:
    shown = tiles(open_mistakes())

    assert len(shown) == 100
    first = shown[0]
    true, read = int(first["caption"][5]), int(first["caption"][-1])
    assert first["caption"] == f"true {true}, read {(true + 1) % 10}"
    assert first["note"] == "65 %"
    assert first["alt"] == f"true {true}, read {read}, 65 % sure, image {WRONG - 1}"


def test_more_and_back_turn_the_pages(open_mistakes: OpenPage, html_of: HtmlOf, tiles: Tiles) -> None:
    page = open_mistakes()
    first = tiles(page)

    page.button(key="mistakes_more").click().run()
    page.button(key="mistakes_more").click().run()

    assert "201–250 of 250 mistakes" in html_of(page)
    assert page.button(key="mistakes_more").disabled
    assert not {tile["key"] for tile in first} & {tile["key"] for tile in tiles(page)}
    page.button(key="mistakes_back").click().run()
    page.button(key="mistakes_back").click().run()
    assert tiles(page) == first


def test_the_select_boxes_filter_as_a_click_in_the_matrix_does(
    open_mistakes: OpenPage, html_of: HtmlOf, tiles: Tiles, component: Component
) -> None:
    page = open_mistakes()

    page.selectbox(key="mistakes_true_digit").set_value(4).run()

    assert {tile["caption"] for tile in tiles(page)} == {"true 4, read 5"}
    matrix = component(page, "digit_confusion_matrix")
    assert matrix["chosen"] == [4, None]
    assert matrix["cells"][4][5]["text"] == str(len(tiles(page)))
    page.button(key="mistakes_clear").click().run()
    assert "1–100 of 250 mistakes" in html_of(page)
    assert picker(page, "true_digit").value is None


def test_confidence_bounds_what_is_shown(open_mistakes: OpenPage, tiles: Tiles) -> None:
    page = open_mistakes()

    page.slider(key="mistakes_low_high").set_range(60, 64).run()

    assert {tile["note"] for tile in tiles(page)} <= {"60 %", "61 %", "62 %", "63 %", "64 %"}


def test_filters_that_nothing_passes_say_so(open_mistakes: OpenPage, html_of: HtmlOf) -> None:
    page = open_mistakes()

    page.selectbox(key="mistakes_true_digit").set_value(4).run()
    page.selectbox(key="mistakes_predicted_digit").set_value(9).run()

    assert "No mistake passes these filters." in html_of(page)


def test_the_order_can_be_changed_and_shuffled(open_mistakes: OpenPage, tiles: Tiles) -> None:
    page = open_mistakes()

    page.selectbox(key="mistakes_order").select("As in the data set").run()
    assert [tile["key"] for tile in tiles(page)] == list(range(100))

    page.button(key="mistakes_shuffle").click().run()
    shuffled = [tile["key"] for tile in tiles(page)]
    assert shuffled != sorted(shuffled)
    assert picker(page, "order").value is MisclassifiedOrder.RANDOM


def test_the_address_holds_the_view_and_opens_it_again(
    open_mistakes: OpenPage, open_page: OpenPage, server: Any, tiles: Tiles
) -> None:
    page = open_mistakes()
    page.selectbox(key="mistakes_true_digit").set_value(4).run()
    assert dict(page.query_params) == {"version": "2", "data": "builtin_test", "true": "4"}

    other = open_page("mistakes", address=server.address)
    for name, value in (("version", "2"), ("true", "4")):
        other.query_params[name] = value
    other.run()

    assert tiles(other) == tiles(page)


def test_coming_back_from_another_page_finds_the_same_view(open_mistakes: OpenPage, tiles: Tiles) -> None:
    page = open_mistakes()
    page.selectbox(key="mistakes_true_digit").set_value(7).run()

    page.switch_page("app_pages/models.py").run()
    page.query_params.clear()
    page.switch_page("app_pages/mistakes.py").run()

    assert page.selectbox(key="mistakes_model_version").value == POOR
    assert {tile["caption"] for tile in tiles(page)} == {"true 7, read 8"}


def test_every_digit_has_precision_recall_and_f1_with_intervals(
    open_mistakes: OpenPage, component: Component
) -> None:
    rows = component(open_mistakes(), "digit_class_table")["rows"]

    assert [row["digit"] for row in rows] == list(range(10))
    assert sum(row["isWeakest"] for row in rows) == 1
    for row in rows:
        low, high = (float(end) for end in row["recallInterval"].split("–"))
        assert low < float(row["recall"].removesuffix(" %")) < high


def test_a_page_in_the_address_is_turned_to_at_once(open_mistakes: OpenPage, html_of: HtmlOf) -> None:
    page = open_mistakes(page="3")

    assert "201–250 of 250 mistakes" in html_of(page)
    assert page.query_params["page"] == "3"


def test_a_filter_leads_back_to_the_first_page(open_mistakes: OpenPage, html_of: HtmlOf) -> None:
    page = open_mistakes(page="2")

    page.selectbox(key="mistakes_order").select("As in the data set").run()

    assert "1–100 of 250 mistakes" in html_of(page)
    assert "page" not in page.query_params


def test_the_largest_margin_comes_first_when_asked_for(open_mistakes: OpenPage, tiles: Tiles) -> None:
    page = open_mistakes(order="margin")

    # The later a digit stands in the data set, the surer it is read.
    assert [tile["key"] for tile in tiles(page)] == [*range(WRONG - 1, WRONG - 101, -1)]


def test_only_data_sets_on_this_machine_are_offered(open_mistakes: OpenPage) -> None:
    assert open_mistakes().selectbox(key="mistakes_dataset").options == [
        "Built-in digits",
        "Built-in test digits",
    ]


def test_a_version_that_was_trained_on_a_data_set_is_refused_in_the_servers_words(
    open_mistakes: OpenPage, html_of: HtmlOf
) -> None:
    page = open_mistakes()
    page.selectbox(key="mistakes_dataset").select("Built-in digits").run()
    assert "Version 2 was not measured on the built-in digits yet." in html_of(page)

    page.button(key="measuring_2_BUILTIN_DIGITS_button").click().run()

    assert 'class="notice"' in html_of(page)
    assert "trained on" in html_of(page)
    assert not [button for button in page.button if button.label == "Measure it"]


def test_a_version_is_measured_on_a_click_and_its_mistakes_appear(
    open_page: OpenPage, server: Any, html_of: HtmlOf, tiles: Tiles, until: Callable[..., None]
) -> None:
    page = open_page("mistakes", address=server.address)
    page.selectbox(key="mistakes_model_version").set_value(SHIPPED).run()
    page.selectbox(key="mistakes_dataset").select("Built-in digits").run()

    page.button(key="measuring_1_BUILTIN_DIGITS_button").click().run()
    client = Client(server.address)
    started = page.session_state["measuring_1_BUILTIN_DIGITS"]
    until(lambda: client.get_evaluation(started.evaluation_id).state is not EvaluationState.RUNNING)
    client.close()
    page.run()

    assert "of 5,000 wrong" in html_of(page)
    assert tiles(page)


def test_a_version_without_mistakes_is_said_to_have_none(
    open_page: OpenPage, server: Any, html_of: HtmlOf
) -> None:
    page = open_page("mistakes", address=server.address)
    page.selectbox(key="mistakes_model_version").set_value(PERFECT).run()

    assert "<span>0</span> of 1,000 wrong" in html_of(page)
    assert "Not one mistake." in html_of(page)


def test_an_unknown_version_in_the_address_leads_to_the_deployed_one(
    open_page: OpenPage, server: Any, html_of: HtmlOf
) -> None:
    page = open_page("mistakes", address=server.address)
    page.query_params["version"] = "77"
    page.run()

    assert "There is no version 77." in html_of(page)
    assert page.selectbox(key="mistakes_model_version").value == SHIPPED


def test_without_a_server_the_page_waits_calmly_and_keeps_what_was_chosen(
    open_mistakes: OpenPage,
    html_of: HtmlOf,
    dead_address: str,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
    tiles: Tiles,
) -> None:
    page = open_mistakes()
    page.selectbox(key="mistakes_true_digit").set_value(3).run()

    monkeypatch.setenv("DIGITS_SERVER", dead_address)
    page.run()
    assert "Waiting for the server." in html_of(page)
    assert not page.exception

    monkeypatch.setenv("DIGITS_SERVER", server.address)
    page.run()
    assert {tile["caption"] for tile in tiles(page)} == {"true 3, read 4"}
