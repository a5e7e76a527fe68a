"""The Draw page as a visitor meets it: pen, mouse, finger, keyboard; a server that comes and goes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
DrawStroke = Callable[..., None]

SEVEN = ((80, 70), (200, 70), (130, 220))
BAR = ((100, 150), (180, 150))
PROMPT = "The answer appears here"

# The dark pixels on the sheet; it lies in the shadow root of its component.
COUNT_INK = """canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let ink = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 128 && data[i] < 128) ink++;
    return ink;
}"""


# How far anything reaches to the right, in pixels.
WIDEST = """() => Math.max(document.documentElement.scrollWidth,
    ...[...document.querySelectorAll('[data-testid="stMain"] *')]
        .filter(element => element.offsetParent !== null)
        .map(element => element.getBoundingClientRect().right))"""


def ink(page: Page) -> int:
    """How many dark pixels there are on the sheet."""
    return int(page.locator("canvas.dc-canvas.lower-canvas").evaluate(COUNT_INK))


def until_ink(page: Page, expected: int) -> None:
    """Wait until the sheet has this many dark pixels."""
    sheet = page.locator("canvas.dc-canvas.lower-canvas").element_handle()
    page.wait_for_function(f"sheet => ({COUNT_INK})(sheet) === {expected}", arg=sheet)


def seen(page: Page) -> str:
    """What the model saw, as the address of its picture."""
    return page.locator(".seen img").get_attribute("src") or ""


def tool(page: Page, name: str) -> Any:
    """One of our own buttons below the sheet; the component has hidden ones of the same names."""
    return page.locator(".st-key-sheet-tools").get_by_role("button", name=name)


def test_a_seven_drawn_with_the_mouse_reads_seven(visit: Visit, draw_stroke: DrawStroke) -> None:
    page = visit()
    expect(page.get_by_text(PROMPT)).to_be_visible()

    draw_stroke(page, *SEVEN)

    expect(page.locator(".answer .digit")).to_have_text("7")
    expect(page.locator(".answer .sureness")).to_contain_text("% sure")
    expect(page.locator(".answer .bar.is-best")).to_contain_text("7")
    expect(page.locator(".seen img")).to_be_visible()


def test_nothing_moves_when_an_answer_arrives(visit: Visit, draw_stroke: DrawStroke) -> None:
    page = visit()
    expect(page.get_by_text(PROMPT)).to_be_visible()
    places = [page.locator(name) for name in ("canvas.upper-canvas", ".answer .bars", ".st-key-settings")]
    before = [place.bounding_box() for place in places]

    draw_stroke(page, *SEVEN)

    expect(page.locator(".answer .digit")).to_have_text("7")
    assert [place.bounding_box() for place in places] == before


def test_undo_and_clear_take_ink_away_and_nothing_else(visit: Visit, draw_stroke: DrawStroke) -> None:
    page = visit()
    draw_stroke(page, *SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")
    one_stroke, first_seen = ink(page), seen(page)

    # Twice: the second undo leads to the very strokes of the first.
    for _ in range(2):
        draw_stroke(page, *BAR)
        expect(page.locator(f'.seen img[src="{first_seen}"]')).to_have_count(0)
        assert ink(page) > one_stroke
        tool(page, "Undo").click()
        expect(page.locator(f'.seen img[src="{first_seen}"]')).to_have_count(1)
        until_ink(page, one_stroke)

    tool(page, "Clear").click()
    expect(page.get_by_text(PROMPT)).to_be_visible()
    expect(tool(page, "Undo")).to_be_disabled()
    draw_stroke(page, *SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")
    until_ink(page, one_stroke)


def test_the_drawing_is_still_there_after_a_look_at_another_page(
    visit: Visit, draw_stroke: DrawStroke
) -> None:
    page = visit()
    draw_stroke(page, *SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")
    before = ink(page)

    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    page.get_by_role("link", name="Draw").click()

    expect(page.locator(".answer .digit")).to_have_text("7")
    until_ink(page, before)


def test_a_finger_draws_on_a_phone_and_nothing_scrolls_sideways(visit: Visit) -> None:
    page = visit(is_phone=True)
    expect(page.get_by_text(PROMPT)).to_be_visible()
    box = page.locator("canvas.upper-canvas").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + 280 <= 390

    touch = page.context.new_cdp_session(page)
    points = [(80 + 12 * step, 70) for step in range(11)] + [
        (200 - 7 * step, 70 + 15 * step) for step in range(11)
    ]
    for number, (x, y) in enumerate(points):
        kind = "touchMove" if number else "touchStart"
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": box["x"] + x, "y": box["y"] + y}]},
        )
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    expect(page.locator(".answer .digit")).to_have_text("7")
    assert page.evaluate(WIDEST) <= 390


def test_a_photo_is_read_and_a_file_that_is_none_is_refused(visit: Visit, tmp_path: Path) -> None:
    photo = Image.new("RGB", (600, 800), (214, 208, 196))
    ImageDraw.Draw(photo).line(
        [(170, 200), (430, 200), (280, 630)], fill=(40, 40, 60), width=36, joint="curve"
    )
    photo.save(tmp_path / "photo.jpg")
    (tmp_path / "broken.png").write_bytes(b"no image at all")
    page = visit()

    page.get_by_role("radio", name="Upload").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "photo.jpg")
    expect(page.locator(".answer .digit")).to_have_text("7")
    expect(page.get_by_alt_text("photo.jpg")).to_be_visible()

    page.locator("input[type=file]").set_input_files(tmp_path / "broken.png")
    expect(page.get_by_text("This file cannot be read")).to_be_visible()


def test_the_keyboard_alone_takes_a_test_digit(visit: Visit) -> None:
    page = visit()
    expect(page.get_by_text(PROMPT)).to_be_visible()

    page.get_by_role("radio", name="Test digit").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("Labelled", exact=False).first).to_be_visible()
    page.get_by_role("radio", name="3", exact=True).focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("Labelled 3 · no.")).to_be_visible()
    expect(page.get_by_text("it is labelled 3.")).to_be_visible()
    first = seen(page)
    page.get_by_role("button", name="Another one").focus()
    page.keyboard.press("Enter")

    expect(page.locator(f'.seen img[src="{first}"]')).to_have_count(0)
    expect(page.get_by_text("it is labelled 3.")).to_be_visible()


@pytest.fixture(scope="module")
def mortal(launch_server: Callable[..., Any], launch_app: Callable[[str], Any]) -> tuple[Any, Any]:
    """A server that a test may kill, and the app on it."""
    server = launch_server()
    return server, launch_app(server.address)


def test_a_killed_server_leaves_the_drawing_and_the_answer_comes_when_it_is_back(
    visit: Visit, draw_stroke: DrawStroke, mortal: tuple[Any, Any]
) -> None:
    server, app = mortal
    page = visit(app=app)
    draw_stroke(page, *SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")
    before = ink(page)

    server.kill()
    banner = page.locator(".connection-banner")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text(server.address)
    expect(banner).to_contain_text("make demo")
    assert ink(page) == before
    draw_stroke(page, *BAR)
    expect(page.get_by_text("Waiting for the server")).to_be_visible()
    both = ink(page)
    assert both > before

    server.start()
    expect(page.locator(".answer .sureness")).to_contain_text("% sure")
    expect(banner).to_be_hidden()
    until_ink(page, both)


def test_a_server_that_hangs_is_told_of_and_recovered_from(
    visit: Visit, draw_stroke: DrawStroke, mortal: tuple[Any, Any]
) -> None:
    server, app = mortal
    page = visit(app=app)
    expect(page.get_by_text(PROMPT)).to_be_visible()

    os.kill(server.pid, signal.SIGSTOP)
    try:
        draw_stroke(page, *SEVEN)
        expect(page.locator(".connection-banner")).to_contain_text("takes long to answer")
        expect(page.get_by_text("Waiting for the server")).to_be_visible()
    finally:
        os.kill(server.pid, signal.SIGCONT)

    expect(page.locator(".answer .digit")).to_have_text("7")
    expect(page.locator(".connection-banner")).to_be_hidden()
