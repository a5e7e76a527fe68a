"""The Draw page's switches: an answer that follows the pen, and whole numbers; with mouse and finger."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from playwright.sync_api import Locator, Page, WebSocket, expect

from frontend.client import PREDICT_DEADLINE_S

Visit = Callable[..., Page]
Settle = Callable[[Page], None]
Points = Sequence[tuple[int, int]]

SEVEN = ((80, 70), (200, 70), (130, 220))
BAR = ((100, 150), (180, 150))
# On the wide sheet, 720x280.
TWO_SEVENS = (((100, 70), (220, 70), (150, 220)), ((400, 70), (520, 70), (450, 220)))

# The dark pixels on a canvas, as a share of all: the screen may have more pixels than the sheet.
INK = """canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let ink = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 128 && data[i] < 128) ink++;
    return ink / (canvas.width * canvas.height);
}"""
# Watch every frame that is painted: ink that got less, and a place of the answer without one.
WATCH = f"""canvas => {{
    const ink = {INK};
    window.seen = {{ lost: 0, empty: 0 }};
    let most = 0;
    const look = () => {{
        const now = ink(canvas);
        if (now < most) window.seen.lost++;
        most = Math.max(most, now);
        if (document.querySelectorAll('.answer .digit').length !== 1) window.seen.empty++;
        requestAnimationFrame(look);
    }};
    look();
}}"""
# All at the same moment: an answer that comes between two questions replaces elements.
PLACES = """([pad, names]) => [[pad], ...names.map(name => [...document.querySelectorAll(name)])]
    .map(found => found.map(element => element.getBoundingClientRect())
        .filter(box => box.width > 0)
        .map(box => [box.x, box.y, box.width, box.height]))"""


def switch(page: Page, name: str) -> None:
    """Turn a switch on, or off again."""
    page.get_by_test_id("stCheckbox").filter(has_text=name).locator("label").first.click()


def live_pad(page: Page) -> Locator:
    """The canvas whose answer follows the pen."""
    return page.locator(".live-pad canvas")


def ink(canvas: Locator) -> float:
    """How much of a canvas is dark: a share."""
    return float(canvas.evaluate(INK))


def move(page: Page, canvas: Locator, points: Points, width: int = 280) -> None:
    """Press the mouse on a sheet of this width, draw through the points, and keep it pressed."""
    box = canvas.bounding_box()
    assert box is not None
    scale = box["width"] / width
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * scale, box["y"] + y * scale, steps=12)
        if number == 0:
            page.mouse.down()


def touch(page: Page, canvas: Locator, points: Points, width: int = 280) -> None:
    """Draw one stroke with a finger, on a sheet of this width."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    scale = box["width"] / width
    finger = page.context.new_cdp_session(page)

    def send(kind: str, *at: tuple[float, float]) -> None:
        places = [{"x": box["x"] + x * scale, "y": box["y"] + y * scale} for x, y in at]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    send("touchStart", points[0])
    for (x, y), (to_x, to_y) in pairwise(points):
        for step in range(1, 9):
            send("touchMove", (x + (to_x - x) * step / 8, y + (to_y - y) * step / 8))
    send("touchEnd")


def test_the_live_answer_comes_while_the_pen_is_still_down_and_no_ink_is_lost(
    visit: Visit, settle: Settle
) -> None:
    page = visit()
    switch(page, "Live")
    pad = live_pad(page)
    expect(pad).to_be_visible()
    settle(page)
    places = [pad.element_handle(), [".answer .bars", ".st-key-settings", ".st-key-sheet-tools"]]
    before = page.evaluate(PLACES, places)
    assert [len(found) for found in before] == [1, 1, 1, 1]
    pad.evaluate(WATCH)

    move(page, pad, SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")
    expect(page.locator(".answer .sureness")).to_contain_text("% sure")
    page.mouse.up()
    expect(pad).to_have_attribute("aria-busy", "false")

    assert page.evaluate("window.seen") == {"lost": 0, "empty": 0}
    assert page.evaluate(PLACES, places) == before
    one_stroke = ink(pad)
    move(page, pad, BAR)
    page.mouse.up()
    tools = page.locator(".st-key-sheet-tools")
    tools.get_by_role("button", name="Undo").click()
    page.wait_for_function(f"([pad, ink]) => ({INK})(pad) === ink", arg=[pad.element_handle(), one_stroke])
    expect(page.locator(".answer .digit")).to_have_text("7")
    tools.get_by_role("button", name="Clear").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The answer appears here")).to_be_visible()
    page.wait_for_function(f"pad => ({INK})(pad) === 0", arg=pad.element_handle())


def test_a_finger_draws_on_the_live_pad_and_the_other_pad_takes_its_drawing_over(
    visit: Visit, settle: Settle
) -> None:
    page = visit(is_phone=True, device_scale_factor=2)
    switch(page, "Live")
    pad = live_pad(page)
    expect(pad).to_be_visible()
    settle(page)

    touch(page, pad, SEVEN)

    expect(page.locator(".answer .digit")).to_have_text("7")
    expect(pad).to_have_attribute("aria-busy", "false")
    assert page.evaluate("window.scrollY + document.scrollingElement.scrollTop") == 0
    drawn = ink(pad)
    assert drawn > 0.03
    switch(page, "Live")
    other = page.locator("canvas.dc-canvas.lower-canvas")
    expect(other).to_be_visible()
    # Two rasterisers, at one and at two pixels for each of the sheet's: the outlines differ a little.
    page.wait_for_function(
        f"([pad, ink]) => Math.abs(({INK})(pad) / ink - 1) < 0.05", arg=[other.element_handle(), drawn]
    )
    expect(page.locator(".answer .digit")).to_have_text("7")


def test_a_slow_server_gets_one_report_at_a_time_and_the_ink_waits_for_none(
    visit: Visit, settle: Settle, launch_server: Callable[..., Any], launch_app: Callable[[str], Any]
) -> None:
    server = launch_server()
    reports: set[bytes] = set()

    def listen(socket: WebSocket) -> None:
        def take(frame: str | bytes) -> None:
            assert isinstance(frame, bytes)
            reports.update(re.findall(rb'"frame":(\d+)', frame))

        socket.on("framesent", take)

    page = visit(app=launch_app(server.address), on_websocket=listen)
    switch(page, "Live")
    pad = live_pad(page)
    expect(pad).to_be_visible()
    settle(page)

    stopped = time.monotonic()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        move(page, pad, SEVEN)
        page.mouse.up()
        page.wait_for_function(f"pad => ({INK})(pad) > 0.03", arg=pad.element_handle())
        # Another one goes when the page gives the first one up.
        assert len(reports) <= 1 + (time.monotonic() - stopped) // PREDICT_DEADLINE_S
    finally:
        os.kill(server.pid, signal.SIGCONT)

    expect(page.locator(".answer .digit")).to_have_text("7")
    assert len(reports) >= 2


def test_a_number_drawn_with_a_finger_is_read_with_its_boxes_over_the_ink(
    visit: Visit, settle: Settle
) -> None:
    page = visit(is_phone=True)
    switch(page, "Whole number")
    expect(page.get_by_role("heading", name="Draw a number")).to_be_visible()
    pad = page.locator("canvas.upper-canvas:visible")
    expect(pad).to_have_attribute("width", "720")
    settle(page)
    places = [pad, page.locator(".number-answer"), page.locator(".st-key-settings")]
    before = [place.bounding_box() for place in places]

    for stroke in TWO_SEVENS:
        touch(page, pad, stroke, width=720)

    expect(page.locator(".number-answer .number")).to_have_text("77")
    expect(page.locator(".digits li")).to_have_count(2)
    boxes = page.locator(".boxes i")
    expect(boxes).to_have_count(2)
    settle(page)
    sheet, first = pad.bounding_box(), boxes.first.bounding_box()
    assert sheet is not None
    assert first is not None
    scale = sheet["width"] / 720
    # Around the ink: its points, and half of the 16 px brush.
    assert abs(first["x"] - sheet["x"] - 92 * scale) < 6
    assert abs(first["x"] + first["width"] - sheet["x"] - 228 * scale) < 6
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert sheet["x"] + sheet["width"] <= 390
    after = [place.bounding_box() for place in places]
    page.evaluate("window.scrollTo(0, 0)")
    assert [box and box["width"] for box in after] == [box and box["width"] for box in before]
