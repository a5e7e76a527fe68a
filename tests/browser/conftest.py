"""The pages in a real Chromium, on a real Streamlit, on a real server."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from live_page import LiveApp, draw_stroke, launch_chromium
from playwright.sync_api import Browser, BrowserContext, Page, Request, WebSocket, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

ROOT = Path(__file__).parents[2]
# A busy machine takes its time; what is there is found at once.
WAIT_MS = 60_000
# The page has run to its end and its fonts are there: nothing comes any more that would move what is there.
SETTLED = """() => document.fonts.status === 'loaded'
    && document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')
    && !document.querySelector('[data-stale=true]')"""
FAILURES = ROOT / "build" / "browser-failures"
DESKTOP = {"width": 1180, "height": 860}
PHONE = {"width": 390, "height": 844}


# All that were started, for what a failure is told with.
APPS: list[LiveApp] = []


@pytest.fixture(scope="session")
def launch_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], LiveApp]]:
    """Start the page on a server: `launch_app(server.address)`; it ends with the tests."""

    def launch(server_address: str) -> LiveApp:
        app = LiveApp(server_address, tmp_path_factory.mktemp("app") / "app.log")
        APPS.append(app)
        app.wait()
        return app

    yield launch
    for app in APPS:
        app.close()


@pytest.fixture(scope="session")
def live_app(launch_app: Callable[[str], LiveApp], live_server: Any) -> LiveApp:
    """One page for all tests that leave its server as it is."""
    return launch_app(live_server.address)


# Not for the session: while it is open, Playwright keeps an event loop running, and no async test can run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium: the system's, or else Playwright's own."""
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context_of(browser: Browser) -> Callable[..., BrowserContext]:
    """`context_of(color_scheme="dark")`: what such visitors share is the files that they have fetched before.

    Each page is a visitor of its own to the app, and fetching and compiling all of it anew takes a second.
    """
    contexts: dict[str, BrowserContext] = {}

    def find(**options: Any) -> BrowserContext:
        known = repr(sorted(options.items()))
        if known not in contexts:
            contexts[known] = browser.new_context(**options)
        return contexts[known]

    return find


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what a failed test saw: a screenshot of each of its pages, their text, and what the app logged."""
    report = yield
    if call.when == "call" and report.failed and "browser" in item.fixturenames:
        FAILURES.mkdir(parents=True, exist_ok=True)
        pages = [page for context in item.funcargs["browser"].contexts for page in context.pages]
        for number, page in enumerate(pages, 1):
            picture = FAILURES / f"{re.sub(r'[^a-z0-9]+', '-', item.name)}-{number}.png"
            try:
                page.screenshot(path=picture)
                report.sections.append((f"{page.url}, see {picture}", page.inner_text("body")))
            except PlaywrightError as error:
                # A page that is gone or hangs must not take the tests after it along.
                report.sections.append((f"{page.url} cannot be shown", error.message))
        for app in APPS:
            if any(page.url.startswith(f"{app.url}/") for page in pages):
                report.sections.append((f"log of the app at {app.url}", app.log.read_text()))
    return report


def settle(page: Page) -> None:
    """Wait until everything on a page has come."""
    page.wait_for_function(SETTLED)


@pytest.fixture(name="settle")
def settle_fixture() -> Callable[[Page], None]:
    """Wait until everything on a page has come, before its places are measured: `settle(page)`."""
    return settle


@pytest.fixture
def visit(context_of: Callable[..., BrowserContext], live_app: LiveApp) -> Iterator[Callable[..., Page]]:
    """Open a page as a new visitor, and wait until it is all there: `visit("/models", color_scheme="dark")`.

    Only one that `is_polling` every second, to follow a run, may never come to rest on a busy machine.
    `script` runs in it before its own scripts. Nothing may be fetched from anywhere but the app itself, and
    no script may fail.
    """
    faults: list[str] = []
    pages: list[Page] = []
    expect.set_options(timeout=WAIT_MS)

    def go(
        path: str = "/",
        *,
        app: LiveApp = live_app,
        is_phone: bool = False,
        is_polling: bool = False,
        script: str = "",
        on_websocket: Callable[[WebSocket], None] | None = None,
        **context: Any,
    ) -> Page:
        shared = context_of(viewport=PHONE if is_phone else DESKTOP, has_touch=is_phone, **context)
        page = shared.new_page()
        pages.append(page)
        page.set_default_timeout(WAIT_MS)

        def watch(request: Request) -> None:
            host = urlparse(request.url).hostname
            if host not in (None, "127.0.0.1"):
                faults.append(f"fetched {request.url}")

        page.on("request", watch)
        page.on("pageerror", lambda error: faults.append(f"script failed: {error}"))
        if on_websocket is not None:
            page.on("websocket", on_websocket)
        if script:
            page.add_init_script(script)
        page.goto(app.url + path)
        if not is_polling:
            settle(page)
        return page

    yield go
    for page in pages:
        page.close()
    assert not faults


@pytest.fixture(name="draw_stroke")
def draw_stroke_fixture() -> Callable[..., None]:
    """Draw one stroke on the sheet with the mouse, in its pixels: `draw_stroke(page, (80, 70), …)`."""
    return draw_stroke
