"""The My digits page without a browser: what people kept, and what can be done with it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from digits.client import Client
from digits.client.choices import TrainingState
from digits.client.records import Sample
from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    """A server whose samples are those of these tests, with its digits ready."""
    server = launch_server(DIGITS_MNIST="")
    client = Client(server.address)
    deadline = time.monotonic() + DEADLINE_S
    while client.list_datasets().data_progress:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.close()
    return server


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    """Another visitor of the server, which has no samples when a test begins, and no run when it ends."""
    client = Client(server.address)
    for sample in client.list_samples(page_size=1000).samples:
        client.delete_sample(sample.sample_id)
    yield client
    for run in client.list_trainings(100).trainings:
        if not run.state.is_final:
            client.cancel_training(run.training_id)
    client.close()


@pytest.fixture
def three(client: Client, seven_png: bytes) -> list[Sample]:
    """Sevens that were called a 7, a 1 and a 2: two of them were misread, then."""
    return [client.add_sample(seven_png, label).sample for label in (7, 1, 2)]


@pytest.fixture
def open_digits(open_page: OpenPage, server: Any) -> Callable[[], AppTest]:
    """Open the page as a new visitor."""
    return lambda: open_page("my_digits", address=server.address)


def captions(page: AppTest) -> list[str]:
    """What the tiles say that each digit is, newest first."""
    (element,) = page.get("bidi_component")
    return [tile["caption"] for tile in json.loads(element.proto.json)["tiles"]]


def open_detail(page: AppTest, sample: Sample) -> AppTest:
    """What a click on the tile does: AppTest cannot click inside of a component."""
    page.session_state["sample-open"] = sample.sample_id
    return page.run()


def choose(page: AppTest, name: str, value: object) -> AppTest:
    """Choose a filter."""
    return page.selectbox(key=f"samples-{name}").set_value(value).run()


def test_while_there_are_none_the_page_leads_to_the_draw_page(
    open_digits: Callable[[], AppTest], client: Client, html_of: HtmlOf
) -> None:
    page = open_digits()

    assert "No digits yet." in html_of(page)
    assert "Draw a digit" in [link.proto.label for link in page.get("page_link")]


def test_each_digit_tells_what_it_is_and_what_was_read_by_which_version(
    open_digits: Callable[[], AppTest], three: list[Sample], html_of: HtmlOf
) -> None:
    page = open_digits()

    assert captions(page) == ["It is a 2", "It is a 1", "It is a 7"]
    (element,) = page.get("bidi_component")
    newest, _, oldest = json.loads(element.proto.json)["tiles"]
    assert newest["lines"][0] == {"text": "read as 7", "is_wrong": True}
    assert newest["lines"][1]["text"].startswith("version 1, ")
    assert oldest["lines"][0] == {"text": "read right", "is_wrong": False}
    assert "3 digits, labelled by you · 2 misread when you drew them" in html_of(page)


def test_filters_narrow_the_gallery_and_show_all_takes_them_back(
    open_digits: Callable[[], AppTest], three: list[Sample], html_of: HtmlOf
) -> None:
    page = open_digits()

    choose(page, "misread", "wrongly")
    assert captions(page) == ["It is a 2", "It is a 1"]
    choose(page, "label", 1)
    assert captions(page) == ["It is a 1"]
    page.selectbox(key="samples-source").select("imported").run()
    assert "No digit passes these filters." in html_of(page)

    page.button(key="samples-show-all").click().run()

    assert captions(page) == ["It is a 2", "It is a 1", "It is a 7"]


def labels(page: AppTest) -> Any:
    """The buttons that label the opened digit anew: each digit has its own."""
    (group,) = [group for group in page.button_group if str(group.key).startswith("sample-label")]
    return group


def test_a_digit_is_labelled_anew_in_its_detail(
    open_digits: Callable[[], AppTest], three: list[Sample], client: Client
) -> None:
    page = open_detail(open_digits(), three[1])
    assert labels(page).value == 1

    labels(page).set_value(4).run()

    assert [sample.label for sample in client.list_samples().samples] == [2, 4, 7]
    assert any("labelled anew just now" in caption.value for caption in page.caption)
    page.button(key="sample-next").click().run()
    assert labels(page).value == 7


def test_a_digit_is_deleted_after_a_second_click(
    open_digits: Callable[[], AppTest], three: list[Sample], client: Client
) -> None:
    page = open_detail(open_digits(), three[0])

    page.button(key="sample-ask").click().run()
    page.button(key="sample-keep").click().run()
    assert client.list_samples().total_size == 3
    page.button(key="sample-ask").click().run()
    page.button(key="sample-delete").click().run()

    assert [sample.label for sample in client.list_samples().samples] == [2, 1]
    assert captions(page) == ["It is a 2", "It is a 1"]


def test_what_was_drawn_is_shown_as_it_was_sent(
    open_digits: Callable[[], AppTest], three: list[Sample], html_of: HtmlOf
) -> None:
    html = html_of(open_detail(open_digits(), three[0]))

    assert 'src="data:image/png;base64,' in html
    assert 'alt="The drawing"' in html


def test_an_archive_brings_the_digits_back(
    open_digits: Callable[[], AppTest], three: list[Sample], client: Client, html_of: HtmlOf
) -> None:
    archive = b"".join(client.export_samples())
    for sample in three[:2]:
        client.delete_sample(sample.sample_id)
    page = open_digits()

    page.file_uploader(key="samples-import-0").upload("my-digits.zip", archive, "application/zip").run()

    assert "Added 2 digits. 1 was here already." in html_of(page)
    assert sorted(captions(page)) == ["It is a 1", "It is a 2", "It is a 7"]


def test_an_archive_is_refused_in_the_servers_words_and_nothing_is_added(
    open_digits: Callable[[], AppTest], client: Client, html_of: HtmlOf
) -> None:
    page = open_digits()

    page.file_uploader(key="samples-import-0").upload("letter.zip", b"no archive", "application/zip").run()

    assert "Nothing of letter.zip was added: " in html_of(page)
    assert "zip" in html_of(page).partition("was added: ")[2].partition("<")[0]
    assert client.list_samples().total_size == 0


def test_the_accuracy_tells_its_interval_and_how_it_was_measured(
    open_digits: Callable[[], AppTest], three: list[Sample], html_of: HtmlOf
) -> None:
    html = html_of(open_digits())

    assert '<div class="value">33.3 %</div>' in html
    assert "1 right · 95 % interval 6–79 %" in html
    assert "3 digits that it never saw" in html


def test_one_click_starts_a_run_that_learns_them(
    open_digits: Callable[[], AppTest], three: list[Sample], client: Client, html_of: HtmlOf
) -> None:
    page = open_digits()
    assert "3 digits to learn" in html_of(page)
    assert "Goes on from version 1" in html_of(page)

    page.button(key="teach-start").click().run()

    (run,) = client.list_trainings().trainings
    assert (run.recipe, run.deploy_when_done, run.base_version) == ("teach", True, 1)
    assert "teach-start" not in {button.key for button in page.button}
    page.button(key=f"train_cancel_{run.training_id}").click().run()
    assert client.get_training(run.training_id).state is TrainingState.CANCELLED
    page.run()
    assert not page.button(key="teach-start").disabled


def test_the_train_page_offers_the_same_with_a_choice_of_the_version(
    open_page: OpenPage, server: Any, three: list[Sample], client: Client, html_of: HtmlOf
) -> None:
    page = open_page("train", address=server.address)
    page.radio(key="train_recipe").set_value("teach").run()
    assert "3 samples to learn." in html_of(page)
    assert page.selectbox(key="train_base_version").options == ["Deployed: version 1", "Version 1 · cnn-best"]

    page.selectbox(key="train_base_version").set_value(1)
    page.button(key="train_start").click().run()

    run = client.list_trainings(1).trainings[0]
    assert (run.recipe, run.base_version, run.deploy_when_done) == ("teach", 1, False)


def test_without_samples_the_train_page_says_why_it_cannot_start(
    open_page: OpenPage, server: Any, client: Client, html_of: HtmlOf
) -> None:
    page = open_page("train", address=server.address)
    page.radio(key="train_recipe").set_value("teach").run()

    assert page.button(key="train_start").disabled
    assert "There is no sample to learn from" in html_of(page)


def test_without_a_server_the_page_waits(open_page: OpenPage, dead_address: str, html_of: HtmlOf) -> None:
    assert "Waiting for the server." in html_of(open_page("my_digits", address=dead_address))
