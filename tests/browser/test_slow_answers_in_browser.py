"""Answers that come late: no click and no key of a visitor is lost by that, and none is made up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from digits.client import Client
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
DrawStroke = Callable[..., None]

SEVEN = ((80, 70), (200, 70), (130, 220))
BAR = ((100, 150), (180, 150))
DOT = ((60, 40), (64, 40))
# What the page's server says can be held back, and waits in `held`; what the browser says goes at once: it
# said `said` last.
HOLD = """(() => {
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        window.said = new TextDecoder().decode(data);
        return send.call(this, data);
    };
    const listen = WebSocket.prototype.addEventListener;
    WebSocket.prototype.addEventListener = function (type, listener, ...options) {
        const take = (event) => {
            const now = () => listener.call(this, event);
            window.held ? window.held.push(now) : now();
        };
        return listen.call(this, type, type === 'message' ? take : listener, ...options);
    };
    window.hold = () => { window.held = []; };
    window.release = () => {
        const waiting = window.held;
        window.held = null;
        waiting.forEach((each) => each());
    };
})()"""


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    """A server whose samples are those of these tests, and that they may stop for a while."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture(scope="module")
def app(launch_app: Callable[[str], Any], server: Any) -> Any:
    """The page on that server."""
    return launch_app(server.address)


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    """Another visitor of the server, which has no samples when a test begins."""
    with Client(server.address) as client:
        for sample in client.list_samples(page_size=1000).samples:
            client.delete_sample(sample.sample_id)
        yield client


@pytest.fixture
def visit_slowly(visit: Visit, app: Any) -> Callable[[str], Page]:
    """Open a page whose answers can be held back: `hold(page)`."""
    return lambda path: visit(path, app=app, script=HOLD)


@contextmanager
def held_back(page: Page) -> Iterator[None]:
    """What the page's server says within arrives afterwards."""
    page.evaluate("hold()")
    yield
    page.evaluate("release()")


def until_heard(page: Page) -> None:
    """Wait until the page's server has answered something more."""
    page.wait_for_function("before => held.length > before", arg=page.evaluate("held.length"))


def until_reported(page: Page, strokes: int) -> None:
    """Wait until the browser has reported a drawing of so many strokes: a moment after the last of them."""
    page.wait_for_function("strokes => said.split('\"Path\"').length > strokes", arg=strokes)


@contextmanager
def stopped(server: Any) -> Iterator[None]:
    """A server that hangs within."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def labels(client: Client) -> list[int]:
    """What the samples are said to be, newest first."""
    return [sample.label for sample in client.list_samples().samples]


def test_a_drawing_is_kept_only_when_somebody_says_what_it_is(
    visit_slowly: Callable[[str], Page],
    draw_stroke: DrawStroke,
    client: Client,
    settle: Callable[[Page], None],
) -> None:
    page = visit_slowly("/")
    draw_stroke(page, *SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")
    page.get_by_role("button", name="Right").click()
    said = page.locator(".feedback-said")
    expect(said).to_have_text("Kept as a 7, as version 1 read it.")

    # With the second stroke the browser says once more that 7 is chosen: it has not heard that this is over.
    with held_back(page):
        draw_stroke(page, *BAR)
        until_reported(page, 2)
        until_heard(page)
        draw_stroke(page, *DOT)
        until_reported(page, 3)
        # Its answer: before that, what is said would be of the drawing without its last stroke.
        until_heard(page)

    settle(page)
    expect(said).to_contain_text("Say what it is")
    page.locator("[class*='st-key-feedback-label']").get_by_role("radio", name="2").click()
    expect(said).to_contain_text("Kept as a 2")
    assert labels(client) == [2, 7]


def test_a_label_that_is_chosen_before_the_answer_has_come_counts(
    visit_slowly: Callable[[str], Page], draw_stroke: DrawStroke, client: Client
) -> None:
    page = visit_slowly("/")
    draw_stroke(page, *SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")
    page.get_by_role("button", name="Right").click()
    said = page.locator(".feedback-said")
    expect(said).to_have_text("Kept as a 7, as version 1 read it.")

    with held_back(page):
        draw_stroke(page, *BAR)
        until_reported(page, 2)
        until_heard(page)
        page.locator("[class*='st-key-feedback-label']").get_by_role("radio", name="2").click()

    expect(said).to_contain_text("Kept as a 2")
    assert labels(client) == [2, 7]


def test_leafing_through_my_digits_labels_none_of_them_anew(
    visit_slowly: Callable[[str], Page], client: Client, seven_png: bytes
) -> None:
    for label in (1, 2, 3):
        client.add_sample(seven_png, label)
    page = visit_slowly("/my_digits")
    page.locator(".gallery .open").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("1 of 3")).to_be_visible()

    with held_back(page):
        dialog.get_by_role("button", name="Next").click()
        until_heard(page)
        dialog.get_by_role("button", name="Next").click()

    expect(dialog.get_by_text("3 of 3")).to_be_visible()
    expect(dialog.get_by_role("radio", name="1")).to_be_checked()
    assert labels(client) == [3, 2, 1]


def test_the_form_of_an_export_stays_chosen_while_the_server_hangs(
    visit: Visit, app: Any, server: Any
) -> None:
    page = visit("/models", app=app)
    page.get_by_text("Details of version 1").click()
    form = page.get_by_role("radio", name="ONNX")
    expect(form).to_be_visible()

    with stopped(server):
        form.click()
        expect(page.locator(".connection-banner")).to_contain_text("takes long to answer")
        expect(form).to_be_checked()

    expect(page.get_by_role("button", name="Save digits-1.onnx")).to_be_visible()
