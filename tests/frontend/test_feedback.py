"""What the Draw page keeps of a drawing when a visitor says what it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from digits.client import Client
from digits.client.records import Sample
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

from frontend.drawing import Drawing

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]

RIGHT, LABEL, UNDO = "feedback-right", "feedback-label", "feedback-undo"


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    """A server whose samples are those of these tests."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    """Another visitor of the server, which has no samples when a test begins."""
    client = Client(server.address)
    for sample in client.list_samples(page_size=1000).samples:
        client.delete_sample(sample.sample_id)
    yield client
    client.close()


def drawn(png: bytes) -> Drawing:
    """A drawing of one stroke, as the browser reported it."""
    return Drawing(strokes=[{"type": "Path"}], png=png)


@pytest.fixture
def seven_page(open_page: OpenPage, server: Any, client: Client, seven_png: bytes) -> AppTest:
    """The Draw page, with a seven on its sheet."""
    return open_page("draw", address=server.address, drawing=drawn(seven_png))


# A page that finds its server again, on a busy machine.
DEADLINE_S = 60.0
SEVEN_STROKE = [(80, 70), (200, 70), (130, 220)]
ONE_STROKE = [(140, 50), (140, 230)]
ANOTHER_ONE = [(400, 50), (400, 230)]


def png(width: int, *strokes: list[tuple[int, int]]) -> bytes:
    """A sheet as the canvas gives it: dark on paper, 280 pixels high."""
    image = Image.new("RGB", (width, 280), "#fdfbf5")
    for stroke in strokes:
        ImageDraw.Draw(image).line(stroke, fill="#1d2433", width=16, joint="curve")
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def one_png() -> bytes:
    """A one."""
    return png(280, ONE_STROKE)


def kept(client: Client) -> list[Sample]:
    """All samples, newest first, with their drawings."""
    return list(client.list_samples(with_drawings=True).samples)


def labels(page: AppTest) -> Any:
    """The buttons that say which digit it is: others whenever the page itself chooses one of them."""
    (group,) = [group for group in page.button_group if str(group.key).startswith(LABEL)]
    return group


def say(page: AppTest, label: int) -> None:
    """Say which digit it is."""
    labels(page).set_value(label).run()


def test_right_keeps_the_drawing_with_what_was_read_and_by_whom(
    seven_page: AppTest, client: Client, html_of: HtmlOf, seven_png: bytes
) -> None:
    seven_page.button(key=RIGHT).click().run()

    (sample,) = kept(client)
    assert (sample.label, sample.predicted_digit, sample.model_version) == (7, 7, 1)
    assert sample.drawing == seven_png
    assert "Kept as a 7, as version 1 read it." in html_of(seven_page)
    assert labels(seven_page).value == 7


def test_a_correction_keeps_it_with_the_label_that_was_said(
    seven_page: AppTest, client: Client, html_of: HtmlOf
) -> None:
    say(seven_page, 1)

    (sample,) = kept(client)
    assert (sample.label, sample.predicted_digit, sample.is_misread) == (1, 7, True)
    assert "Kept as a 1, read as a 7 by version 1." in html_of(seven_page)


def test_pressing_twice_keeps_one_and_another_digit_relabels_it(seven_page: AppTest, client: Client) -> None:
    say(seven_page, 1)
    say(seven_page, 1)
    assert seven_page.button(key=RIGHT).disabled
    assert len(kept(client)) == 1

    say(seven_page, 4)

    assert [sample.label for sample in kept(client)] == [4]


def test_undo_forgets_it_and_it_can_be_kept_anew(
    seven_page: AppTest, client: Client, html_of: HtmlOf
) -> None:
    assert seven_page.button(key=UNDO).disabled
    say(seven_page, 1)

    seven_page.button(key=UNDO).click().run()

    assert kept(client) == []
    assert labels(seven_page).value is None
    assert "it is kept in My digits" in html_of(seven_page)
    seven_page.button(key=RIGHT).click().run()
    assert [sample.label for sample in kept(client)] == [7]


def test_a_new_stroke_makes_a_new_drawing(seven_page: AppTest, client: Client, one_png: bytes) -> None:
    say(seven_page, 7)

    seven_page.session_state["drawing"] = drawn(one_png)
    seven_page.run()
    assert labels(seven_page).value is None
    seven_page.button(key=RIGHT).click().run()

    assert [sample.label for sample in kept(client)] == [1, 7]


def test_a_label_counts_for_the_ink_that_came_with_the_click(
    seven_page: AppTest, client: Client, one_png: bytes
) -> None:
    seven_page.session_state["drawing"] = drawn(one_png)
    say(seven_page, 1)

    assert [(sample.label, sample.drawing) for sample in kept(client)] == [(1, one_png)]


def test_right_does_not_count_for_an_answer_that_nobody_has_seen_yet(
    seven_page: AppTest, client: Client, html_of: HtmlOf, one_png: bytes
) -> None:
    seven_page.session_state["drawing"] = drawn(one_png)
    seven_page.button(key=RIGHT).click().run()

    assert kept(client) == []
    assert "The answer has changed. Is it right now?" in html_of(seven_page)


def test_without_a_drawing_there_is_nothing_to_say(open_page: OpenPage, server: Any) -> None:
    page = open_page("draw", address=server.address)

    assert page.button(key=RIGHT).disabled
    assert labels(page).disabled


def test_an_upload_can_be_corrected_too(
    open_page: OpenPage, server: Any, client: Client, seven_png: bytes
) -> None:
    page = open_page("draw", address=server.address)
    page.segmented_control(key="source").set_value("Upload").run()
    page.file_uploader[0].upload("seven.png", seven_png, "image/png").run()

    say(page, 2)

    assert [(sample.label, sample.drawing) for sample in kept(client)] == [(2, seven_png)]


def test_each_digit_of_a_number_can_be_corrected(open_page: OpenPage, server: Any, client: Client) -> None:
    number = png(720, SEVEN_STROKE, ANOTHER_ONE)
    session = {"whole-number": True, "number-drawing": drawn(number)}
    page = open_page("draw", address=server.address, **session)

    say(page, 2)
    page.button_group(key="feedback-digit").set_value(1).run()
    assert labels(page).value is None
    page.button(key=RIGHT).click().run()

    assert [(sample.label, sample.predicted_digit) for sample in kept(client)] == [(1, 1), (2, 7)]
    page.button_group(key="feedback-digit").set_value(0).run()
    assert labels(page).value == 2


def test_a_test_digit_is_not_kept_and_the_page_says_why(
    open_page: OpenPage, server: Any, html_of: HtmlOf
) -> None:
    page = open_page("draw", address=server.address)
    page.segmented_control(key="source").set_value("Test digit").run()

    assert "none is ever trained on" in html_of(page)
    assert not [group for group in page.button_group if str(group.key).startswith(LABEL)]


def test_without_a_server_nothing_is_lost_and_a_second_click_keeps_one(
    seven_page: AppTest,
    client: Client,
    html_of: HtmlOf,
    server: Any,
    dead_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.kill()
    say(seven_page, 1)
    assert "Waiting for the server" in html_of(seven_page)
    assert not seven_page.exception
    server.start()

    deadline = time.monotonic() + DEADLINE_S
    while labels(seven_page.run()).proto.disabled:
        assert time.monotonic() < deadline
    say(seven_page, 1)

    assert [sample.label for sample in kept(client)] == [1]


def test_what_was_deleted_elsewhere_can_be_taken_back_without_a_fault(
    seven_page: AppTest, client: Client, html_of: HtmlOf
) -> None:
    say(seven_page, 1)
    client.delete_sample(kept(client)[0].sample_id)

    seven_page.button(key=UNDO).click().run()

    assert "it is kept in My digits" in html_of(seven_page)
