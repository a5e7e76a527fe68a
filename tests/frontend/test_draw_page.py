"""The Draw page: what it shows of a drawing, a file and a test digit, and without a server."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from frontend.drawing import Drawing
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

    assert [(button.label, button.disabled) for button in page.button] == [("Undo", True), ("Clear", True)]


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


def test_what_a_server_says_is_never_taken_for_html() -> None:
    html = answer_html(None, title="<b>bold</b>", hint='<script src="x"></script>')

    assert "<b>bold" not in html
    assert "<script" not in html
