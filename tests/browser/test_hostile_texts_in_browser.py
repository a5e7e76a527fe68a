"""Texts that are attacks, wherever the page shows texts of others: none runs, and none is more than text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from digits.client import Client
from live_hostile import ALL, ELSEWHERE, EVIL, HARM, HostileServer
from playwright.sync_api import Page, expect

from server.gate import GateComparison, GateData, GateReport

Visit = Callable[..., Page]
DEADLINE_S = 120.0
PAGES = ("/", "/mistakes", "/my_digits", "/train", "/models")
# The others show no text of the server's as long as nothing is refused.
TELLING = ("/train", "/models")
HELD = GateReport(
    passed=False,
    serving_version=1,
    comparisons=(GateComparison(GateData.VALIDATION, 5000, 0.97, 0.99, -0.02, -0.03, -0.01, passed=False),),
    reasons=("It reads fewer.",),
)


@dataclass(frozen=True)
class Hostile:
    """The page on a server whose every text is an attack."""

    app: Any
    server: HostileServer


@pytest.fixture(scope="module")
def hostile(
    launch_server: Callable[..., Any],
    launch_app: Callable[[str], Any],
    add_misreading_version: Callable[..., None],
    add_version: Callable[..., int],
    seven_png: bytes,
) -> Iterator[Hostile]:
    """It has a version that errs, one held back at the gate with its run, a drawing, and deployments."""
    server = launch_server(DIGITS_MNIST="")
    with Client(server.address) as client:
        deadline = time.monotonic() + DEADLINE_S
        while client.list_datasets().data_progress:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    server.stop()
    add_misreading_version(server, range(30))
    server.start()
    add_version(server, HELD, base_version=1, samples=23)
    with Client(server.address) as client:
        client.add_sample(seven_png, 1)
        client.deploy_model(2, cause="to be seen")
    with HostileServer(server.address) as wire:
        yield Hostile(launch_app(wire.address), wire)


@pytest.fixture
def open_hostile(visit: Visit, hostile: Hostile) -> Iterator[Callable[[str], Page]]:
    """`open_hostile("/train")`: a page that must come to no harm; it is looked at once more at the end."""
    pages: list[Page] = []
    dialogs: list[str] = []

    def go(path: str) -> Page:
        page = visit(path, app=hostile.app)
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        pages.append(page)
        return page

    yield go
    hostile.server.refusing.clear()
    for page in pages:
        assert page.evaluate(HARM) == [], page.url
    assert dialogs == []


def open_all(page: Page, settle: Callable[[Page], None]) -> None:
    """Open whatever can be opened without a change to the server."""
    settle(page)
    closed = page.locator("details:not([open]) > summary")
    while closed.count():
        closed.first.click()
        settle(page)


@pytest.mark.parametrize("path", PAGES)
def test_no_text_of_the_server_becomes_more_than_text(open_hostile: Any, settle: Any, path: str) -> None:
    page = open_hostile(path)
    expect(page.locator(".wordmark")).to_be_visible()
    open_all(page, settle)
    assert page.evaluate(HARM) == []
    if path in TELLING:
        # The attack did come: it stands there, to be read.
        expect(page.get_by_text("window.pwned").first).to_be_attached()


@pytest.mark.parametrize("path", PAGES)
def test_no_refusal_of_the_server_becomes_more_than_text(
    open_hostile: Any, hostile: Hostile, path: str
) -> None:
    hostile.server.refusing = {ALL}
    page = open_hostile(path)
    expect(page.locator(".wordmark")).to_be_visible()
    assert page.evaluate(HARM) == []


def test_a_run_a_mistake_and_a_drawing_can_be_opened_without_harm(open_hostile: Any, settle: Any) -> None:
    train = open_hostile("/train")
    train.locator("tbody button").first.click()
    settle(train)
    assert train.evaluate(HARM) == []

    mistakes = open_hostile("/mistakes")
    mistakes.locator(".gallery .open").first.click()
    expect(mistakes.locator(".detail")).to_be_visible()
    assert mistakes.evaluate(HARM) == []

    digits = open_hostile("/my_digits")
    digits.locator(".gallery .open").first.click()
    expect(digits.get_by_role("dialog")).to_be_visible()
    assert digits.evaluate(HARM) == []


@pytest.mark.parametrize(
    ("path", "button", "method"),
    [
        ("/models", "Deploy", "DeployModel"),
        ("/train", "Start training", "StartTraining"),
        ("/train", "Start it again", "StartTraining"),
    ],
)
def test_a_click_that_is_refused_in_evil_words_does_no_harm(
    open_hostile: Any, hostile: Hostile, settle: Any, path: str, button: str, method: str
) -> None:
    page = open_hostile(path)
    hostile.server.refusing = {method}
    page.get_by_role("button", name=button).first.click()
    expect(page.get_by_text("window.pwned").first).to_be_visible()
    settle(page)


def test_an_attack_in_the_address_does_no_harm(open_hostile: Any) -> None:
    for path in ("/mistakes?version=", "/train?run=", "/?"):
        page = open_hostile(path + EVIL.replace("#", "").replace("&", "").replace(ELSEWHERE, ""))
        expect(page.locator(".wordmark")).to_be_visible()
        assert page.evaluate(HARM) == []
