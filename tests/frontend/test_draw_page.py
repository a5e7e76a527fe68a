"""The Draw page: what it shows of a drawing, a file and a test digit, and without a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from digits.client import Client
from digits.client.records import Answer, NumberAnswer
from PIL import ExifTags, Image
from streamlit.testing.v1 import AppTest

from frontend.drawing import Drawing
from frontend.image_size import shown_size
from frontend.number_answer import boxes_html, digits_html, number_html
from frontend.probabilities import answer_html

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]


def drawn(png: bytes) -> Drawing:
    """A drawing of one stroke, as the browser reported it."""
    return Drawing(strokes=[{"type": "Path"}], png=png)


def test_a_blank_sheet_prompts_and_asks_no_server(
    open_page: OpenPage, html_of: HtmlOf, dead_address: str
) -> None:
    page = open_page("draw", address=dead_address)

    assert "The answer appears here" in html_of(page)
    assert "Waiting for the server" not in html_of(page)


def test_a_drawn_seven_reads_seven_with_confidence_bars_and_the_image_seen(
    open_page: OpenPage, html_of: HtmlOf, seven_png: bytes
) -> None:
    html = html_of(open_page("draw", drawing=drawn(seven_png)))

    assert '<div class="digit">7</div>' in html
    assert "% sure" in html
    assert html.count('class="bar') - html.count('class="bars"') == 10
    assert 'src="data:image/png;base64,' in html
    assert "Version 1 · decode" in html


def test_undo_takes_the_last_stroke_back_and_clear_takes_all(open_page: OpenPage, seven_png: bytes) -> None:
    drawing = Drawing(strokes=[{"stroke": 1}, {"stroke": 2}, {"stroke": 3}], png=seven_png)
    page = open_page("draw", drawing=drawing)

    page.button[0].click().run()
    assert drawing.strokes == drawing.given == [{"stroke": 1}, {"stroke": 2}]
    assert drawing.png is None  # Until the browser has painted what is left.

    page.button[1].click().run()
    assert drawing.is_blank


def test_there_is_nothing_to_undo_or_clear_on_a_blank_sheet(open_page: OpenPage) -> None:
    page = open_page("draw")

    assert [(button.label, button.disabled) for button in page.button[:2]] == [
        ("Undo", True),
        ("Clear", True),
    ]


def test_the_deployed_version_reads_unless_another_is_chosen(
    open_page: OpenPage, html_of: HtmlOf, seven_png: bytes
) -> None:
    page = open_page("draw", drawing=drawn(seven_png))
    picker = page.selectbox(key="version")
    assert picker.value == 0
    assert picker.options[0].startswith("Deployed: version ")

    picker.select(1).run()

    assert '<div class="digit">7</div>' in html_of(page)


def test_the_plain_resize_explains_itself_and_offers_its_interpolation(
    open_page: OpenPage, html_of: HtmlOf, seven_png: bytes
) -> None:
    page = open_page("draw", drawing=drawn(seven_png))
    assert page.selectbox(key="interpolation").disabled
    before = html_of(page)

    page.selectbox(key="preprocessing").select_index(1).run()

    assert not page.selectbox(key="interpolation").disabled
    assert "shrunk to 28×28" in html_of(page)
    assert image_seen(html_of(page)) != image_seen(before)


def image_seen(html: str) -> str:
    """The address of the picture of what the model saw."""
    return html.partition('<figure class="seen">')[2].partition('src="')[2].partition('"')[0]


def test_an_uploaded_image_is_read_and_shown(open_page: OpenPage, html_of: HtmlOf, seven_png: bytes) -> None:
    page = open_page("draw")
    page.segmented_control(key="source").set_value("Upload").run()
    assert "Choose an image" in html_of(page)

    page.file_uploader[0].upload("seven.png", seven_png, "image/png").run()

    assert '<div class="digit">7</div>' in html_of(page)
    assert 'class="preview"' in html_of(page)


def test_a_file_that_is_no_image_is_refused_in_the_servers_words(
    open_page: OpenPage, html_of: HtmlOf
) -> None:
    page = open_page("draw")
    page.segmented_control(key="source").set_value("Upload").run()

    page.file_uploader[0].upload("seven.png", b"no image", "image/png").run()

    assert "This file cannot be read" in html_of(page)
    assert "PNG, JPEG, WebP or BMP" in html_of(page)
    assert 'class="preview"' not in html_of(page)


def test_a_test_digit_of_the_chosen_label_is_read_and_judged(open_page: OpenPage, html_of: HtmlOf) -> None:
    page = open_page("draw")
    page.segmented_control(key="source").set_value("Test digit").run()

    page.button_group(key="test-label").set_value(3).run()
    html = html_of(page)

    assert "Labelled 3 · no. " in html
    assert "it is labelled 3." in html
    page.button[0].click().run()
    assert image_seen(html_of(page)) != image_seen(html)


def test_without_a_server_the_drawing_waits_for_its_answer(
    open_page: OpenPage, html_of: HtmlOf, dead_address: str, seven_png: bytes
) -> None:
    page = open_page("draw", address=dead_address, drawing=drawn(seven_png))
    html = html_of(page)

    assert "Waiting for the server" in html
    assert f"No server is answering at <b>{dead_address}</b>" in html
    assert "make demo" in html
    assert page.session_state["drawing"].png == seven_png


def test_both_preparations_are_shown_side_by_side_on_request(
    open_page: OpenPage, html_of: HtmlOf, seven_png: bytes
) -> None:
    assert 'class="comparison"' not in html_of(open_page("draw", drawing=drawn(seven_png)))

    html = html_of(open_page("draw", drawing=drawn(seven_png), compare=True))

    resized, normalised = html.partition('class="comparison"')[2].split("</figure>")[:2]
    assert "Plain resize" in resized
    assert "MNIST normalisation" in normalised
    assert "<strong>7</strong>" in normalised
    assert (
        resized.partition('src="')[2].partition('"')[0] != normalised.partition('src="')[2].partition('"')[0]
    )


def test_there_is_nothing_to_compare_until_there_is_ink(open_page: OpenPage, html_of: HtmlOf) -> None:
    assert "see it prepared in both ways" in html_of(open_page("draw", compare=True))


@pytest.fixture
def answer(live_server: Any, seven_png: bytes) -> Answer:
    """A server's answer to a seven."""
    client = Client(live_server.address)
    try:
        return client.predict(seven_png)
    finally:
        client.close()


def test_an_uncertain_answer_says_so_in_place_of_a_bold_digit(answer: Answer) -> None:
    doubtful = replace(answer, prediction=replace(answer.prediction, is_uncertain=True, confidence=0.41))

    html = answer_html(doubtful)

    assert '<section class="answer is-uncertain' in html
    assert "Not sure" in html
    assert "It may be no digit." in html
    assert "% sure" not in html


def test_a_whole_number_is_read_with_a_box_around_each_digit(
    open_page: OpenPage, html_of: HtmlOf, two_sevens_png: bytes
) -> None:
    html = html_of(open_page("draw", **{"whole-number": True, "number-drawing": drawn(two_sevens_png)}))

    assert "<div>77</div>" in html
    assert html.partition('<div class="boxes"')[2].partition("</div>")[0].count("<i ") == 2
    assert html.partition('<figure class="digits"')[2].count("<li") == 2


def test_an_uploaded_number_has_its_boxes_over_the_image(
    open_page: OpenPage, html_of: HtmlOf, two_sevens_png: bytes
) -> None:
    page = open_page("draw", **{"whole-number": True})
    page.segmented_control(key="source").set_value("Upload").run()
    assert "in one line or in several" in html_of(page)

    page.file_uploader[0].upload("number.png", two_sevens_png, "image/png").run()

    preview = html_of(page).partition('<div class="preview">')[2]
    assert 'alt="number.png"' in preview
    assert preview.count("<i ") == 2


def test_a_digit_and_a_number_have_sheets_of_their_own(
    open_page: OpenPage, html_of: HtmlOf, seven_png: bytes
) -> None:
    page = open_page("draw", drawing=drawn(seven_png))

    page.toggle(key="whole-number").set_value(True).run()
    assert "The answer appears here" in html_of(page)

    page.toggle(key="whole-number").set_value(False).run()
    assert '<div class="digit">7</div>' in html_of(page)


def test_a_test_digit_is_neither_a_number_nor_live(open_page: OpenPage) -> None:
    page = open_page("draw", **{"whole-number": True})

    page.segmented_control(key="source").set_value("Test digit").run()

    assert page.toggle(key="whole-number").disabled
    assert page.toggle(key="live").disabled
    assert page.title[0].value == "Draw a digit"


@pytest.fixture
def number(live_server: Any, two_sevens_png: bytes) -> NumberAnswer:
    """A server's answer to two sevens beside each other."""
    client = Client(live_server.address)
    try:
        return client.read_number(two_sevens_png)
    finally:
        client.close()


def test_a_doubtful_digit_of_a_number_is_marked_wherever_it_is_shown(number: NumberAnswer) -> None:
    sure, other = number.digits
    doubtful = replace(other, prediction=replace(other.prediction, is_uncertain=True))
    number = replace(number, digits=(sure, doubtful))

    assert "Not sure of 1 digit" in number_html(number)
    assert '7<span class="is-uncertain">7</span>' in number_html(number)
    assert boxes_html(number, (560, 280)).count('class="is-uncertain"') == 1
    assert digits_html(number).count("not sure") == 1


def test_lines_of_a_number_stand_below_each_other(number: NumberAnswer) -> None:
    first, second = number.digits

    html = number_html(replace(number, text="7\n7", digits=(first, replace(second, line=1))))

    assert "<div>7</div><div>7</div>" in html


@pytest.mark.parametrize(("format_", "expected"), [("JPEG", (30, 40)), ("PNG", (40, 30))])
def test_a_photo_that_lies_on_its_side_is_measured_as_the_server_reads_it(
    format_: str, expected: tuple[int, int]
) -> None:
    photo = Image.new("L", (40, 30))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = BytesIO()
    photo.save(file, format_, exif=exif)

    assert shown_size(file.getvalue()) == expected


def test_what_is_no_image_has_no_size() -> None:
    assert shown_size(b"no image") is None


def test_what_a_server_says_is_never_taken_for_html() -> None:
    html = answer_html(None, title="<b>bold</b>", hint='<script src="x"></script>')

    assert "<b>bold" not in html
    assert "<script" not in html
