"""The Mistakes page without a browser, against a real server that has the built-in digits only."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from frontend.choices import EvaluationState
from frontend.client import Client
from server.datasets import Data, Dataset
from server.metrics import measure
from server.models import ModelStore, Provenance, write_version

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]

SHIPPED, POOR, PERFECT = 1, 2, 3
WRONG = 250
DEADLINE_S = 60.0


def add_version(server: Any, wrong: int) -> None:
    """Put the shipped model once more into the data of a stopped server, with `wrong` mistakes on record.

    Image i of the built-in test digits is read as the digit after its own, the surer the larger i is.
    """
    store = ModelStore(server.data / "models")
    split = Data.open(server.data / "datasets").split(use_all=False)
    labels = split.test.labels.astype(int)
    read = np.where(np.arange(len(labels)) < wrong, (labels + 1) % 10, labels)
    sure = np.linspace(0.55, 0.95, len(labels))
    probabilities = np.zeros((len(labels), 10), np.float32)
    probabilities[np.arange(len(labels)), labels] = 1 - sure
    probabilities[np.arange(len(labels)), read] += np.where(read == labels, 2 * sure - 1, sure)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    staging = store.staging(f"with-{wrong}-mistakes")
    for name in ("model.onnx", "model.keras"):
        shutil.copy(server.data / "models" / "000001" / name, staging / name)
    shipped = store.get(SHIPPED)
    provenance = {field.name: getattr(shipped, field.name) for field in fields(Provenance)} | {
        "train_partitions": split.train_partitions,
        "validation_partitions": split.validation_partitions,
        "test_dataset": Dataset.BUILTIN_TEST,
    }
    metrics = measure(probabilities, split.test.labels)
    write_version(staging, Provenance(**provenance), metrics, probabilities)
    store.commit(staging)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that takes the server a moment."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    """A server with the shipped version, a poor one and a perfect one; the first is deployed."""
    server = launch_server(DIGITS_MNIST="")
    client = Client(server.address)
    until(lambda: not client.list_datasets().data_progress)
    client.close()
    server.stop()
    add_version(server, WRONG)
    add_version(server, 0)
    server.start()
    return server


@pytest.fixture
def open_mistakes(open_page: OpenPage, server: Any) -> Callable[[], AppTest]:
    """Open the page on the poor version."""

    def open_poor() -> AppTest:
        page = open_page("mistakes", address=server.address)
        page.selectbox(key="mistakes_model_version").set_value(POOR).run()
        assert not page.exception
        return page

    return open_poor


def component(page: AppTest, name: str) -> Any:
    """What a component of the page was given."""
    (data,) = (
        json.loads(element.proto.json)
        for element in page.get("bidi_component")
        if element.proto.component_name == name
    )
    return data


def tiles(page: AppTest) -> list[dict[str, Any]]:
    """The tiles of the gallery."""
    shown: list[dict[str, Any]] = component(page, "digit_gallery")["tiles"]
    return shown


def test_the_headline_tells_how_many_of_how_many_with_an_interval(
    open_mistakes: Callable[[], AppTest], html_of: HtmlOf
) -> None:
    html = html_of(open_mistakes())

    assert "<span>250</span> of 1,000 wrong" in html
    assert "75.00 % right, 95 % interval 72.22–77.58 %" in html


def test_a_page_of_the_gallery_is_a_hundred_tiles_in_one_component(
    open_mistakes: Callable[[], AppTest],
) -> None:
    shown = tiles(open_mistakes())

    assert len(shown) == 100
    first = shown[0]
    true, read = int(first["caption"][5]), int(first["caption"][-1])
    assert first["caption"] == f"true {true}, read {(true + 1) % 10}"
    assert first["note"] == "65 %"
    assert first["alt"] == f"true {true}, read {read}, 65 % sure, image {WRONG - 1}"


def test_more_and_back_turn_the_pages(open_mistakes: Callable[[], AppTest], html_of: HtmlOf) -> None:
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
    open_mistakes: Callable[[], AppTest], html_of: HtmlOf
) -> None:
    page = open_mistakes()

    page.selectbox(key="mistakes_true_digit").set_value(4).run()

    assert {tile["caption"] for tile in tiles(page)} == {"true 4, read 5"}
    matrix = component(page, "digit_confusion_matrix")
    assert matrix["chosen"] == [4, None]
    assert matrix["counts"][4][5] == len(tiles(page))
    page.button(key="mistakes_clear").click().run()
    assert "1–100 of 250 mistakes" in html_of(page)
    assert page.selectbox(key="mistakes_true_digit").value is None


def test_confidence_bounds_what_is_shown(open_mistakes: Callable[[], AppTest]) -> None:
    page = open_mistakes()

    page.slider(key="mistakes_low_high").set_range(60, 64).run()

    assert {tile["note"] for tile in tiles(page)} <= {"60 %", "61 %", "62 %", "63 %", "64 %"}


def test_filters_that_nothing_passes_say_so(open_mistakes: Callable[[], AppTest], html_of: HtmlOf) -> None:
    page = open_mistakes()

    page.selectbox(key="mistakes_true_digit").set_value(4).run()
    page.selectbox(key="mistakes_predicted_digit").set_value(9).run()

    assert "No mistake passes these filters." in html_of(page)


def test_the_order_can_be_changed_and_shuffled(open_mistakes: Callable[[], AppTest]) -> None:
    page = open_mistakes()

    page.selectbox(key="mistakes_order").select("As in the data set").run()
    assert [tile["key"] for tile in tiles(page)] == list(range(100))

    page.button(key="mistakes_shuffle").click().run()
    shuffled = [tile["key"] for tile in tiles(page)]
    assert shuffled != sorted(shuffled)
    assert page.selectbox(key="mistakes_order").value.name == "RANDOM"


def test_the_address_holds_the_view_and_opens_it_again(
    open_mistakes: Callable[[], AppTest], open_page: OpenPage, server: Any
) -> None:
    page = open_mistakes()
    page.selectbox(key="mistakes_true_digit").set_value(4).run()
    assert dict(page.query_params) == {"version": "2", "data": "builtin_test", "true": "4"}

    other = open_page("mistakes", address=server.address)
    for name, value in (("version", "2"), ("true", "4")):
        other.query_params[name] = value
    other.run()

    assert tiles(other) == tiles(page)


def test_coming_back_from_another_page_finds_the_same_view(open_mistakes: Callable[[], AppTest]) -> None:
    page = open_mistakes()
    page.selectbox(key="mistakes_true_digit").set_value(7).run()

    page.switch_page("app_pages/models.py").run()
    page.query_params.clear()
    page.switch_page("app_pages/mistakes.py").run()

    assert page.selectbox(key="mistakes_model_version").value == POOR
    assert {tile["caption"] for tile in tiles(page)} == {"true 7, read 8"}


def test_the_detail_of_a_digit_stays_open_until_it_is_closed(
    open_mistakes: Callable[[], AppTest], html_of: HtmlOf
) -> None:
    page = open_mistakes()
    tenth = tiles(page)[9]
    # What a click on the tile does: AppTest cannot click inside of a component.
    page.session_state["mistake_detail_index"] = tenth["key"]

    for _ in range(2):
        page.run()
        assert f'aria-label="{tenth["alt"]}"' in html_of(page)
        assert "10 of 100 on this page" in [caption.value for caption in page.caption]

    page.button(key="mistake_detail_next").click().run()
    assert "11 of 100 on this page" in [caption.value for caption in page.caption]


def test_every_digit_has_precision_recall_and_f1(
    open_mistakes: Callable[[], AppTest], html_of: HtmlOf
) -> None:
    html = html_of(open_mistakes())

    assert html.count('<th scope="row">') == 10
    assert html.count("is-weakest") == 2  # Once in the style, once in the table.


def test_only_data_sets_on_this_machine_are_offered(open_mistakes: Callable[[], AppTest]) -> None:
    assert open_mistakes().selectbox(key="mistakes_dataset").options == [
        "Built-in digits",
        "Built-in test digits",
    ]


def test_a_version_that_was_trained_on_a_data_set_is_refused_in_the_servers_words(
    open_mistakes: Callable[[], AppTest], html_of: HtmlOf
) -> None:
    page = open_mistakes()
    page.selectbox(key="mistakes_dataset").select("Built-in digits").run()
    assert "Version 2 was not measured on the built-in digits yet." in html_of(page)

    page.button(key="measuring_2_BUILTIN_DIGITS_button").click().run()

    assert 'class="notice"' in html_of(page)
    assert "trained on" in html_of(page)
    assert not [button for button in page.button if button.label == "Measure it"]


def test_a_version_is_measured_on_a_click_and_its_mistakes_appear(
    open_page: OpenPage, server: Any, html_of: HtmlOf
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
    open_mistakes: Callable[[], AppTest],
    html_of: HtmlOf,
    dead_address: str,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
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
