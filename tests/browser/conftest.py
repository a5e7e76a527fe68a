"""The pages in a real Chromium, on a real Streamlit, on a real server."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60.0
# A busy machine takes its time; what is there is found at once.
WAIT_MS = 30_000
# What a headless Chromium needs as root and in containers, and what keeps it from calling home.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FAILURES = ROOT / "build" / "browser-failures"
DESKTOP = {"width": 1180, "height": 860}
PHONE = {"width": 390, "height": 844}


class LiveApp:
    """A `streamlit run frontend/app.py` on a free port, on the server at `server_address`."""

    def __init__(self, server_address: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        command = [sys.executable, "-m", "streamlit", "run", "frontend/app.py", f"--server.port={self.port}"]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"DIGITS_SERVER": server_address},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Wait until it answers. Raises AssertionError, with its log, when it does not."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            assert self._process.poll() is None, f"the app ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"the app does not answer:\n{self.log.read_text()}"
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(10)


@pytest.fixture(scope="session")
def launch_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], LiveApp]]:
    """Start the page on a server: `launch_app(server.address)`; it ends with the tests."""
    apps: list[LiveApp] = []

    def launch(server_address: str) -> LiveApp:
        app = LiveApp(server_address, tmp_path_factory.mktemp("app") / "app.log")
        apps.append(app)
        app.wait()
        return app

    yield launch
    for app in apps:
        app.close()


@pytest.fixture(scope="session")
def live_app(launch_app: Callable[[str], LiveApp], live_server: Any) -> LiveApp:
    """One page for all tests that leave its server as it is."""
    return launch_app(live_server.address)


# Not for the session: while it is open, Playwright keeps an event loop running, and no async test can run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium: the system's, or else Playwright's own."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


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
            page.screenshot(path=picture)
            report.sections.append((f"{page.url}, see {picture}", page.inner_text("body")))
        report.sections.append(("log of the app", item.funcargs["live_app"].log.read_text()))
    return report


@pytest.fixture
def visit(browser: Browser, live_app: LiveApp) -> Iterator[Callable[..., Page]]:
    """Open a page as a new visitor: `visit("/models", viewport=PHONE, color_scheme="dark")`.

    Nothing may be fetched from anywhere but the app itself, and no script may fail.
    """
    faults: list[str] = []
    expect.set_options(timeout=WAIT_MS)

    def go(path: str = "/", *, app: LiveApp = live_app, is_phone: bool = False, **context: Any) -> Page:
        page = browser.new_context(
            viewport=PHONE if is_phone else DESKTOP, has_touch=is_phone, **context
        ).new_page()
        page.set_default_timeout(WAIT_MS)

        def watch(request: Request) -> None:
            host = urlparse(request.url).hostname
            if host not in (None, "127.0.0.1"):
                faults.append(f"fetched {request.url}")

        page.on("request", watch)
        page.on("pageerror", lambda error: faults.append(f"script failed: {error}"))
        page.goto(app.url + path)
        return page

    yield go
    for context in browser.contexts:
        context.close()
    assert not faults


@pytest.fixture
def draw_stroke() -> Callable[..., None]:
    """Draw one stroke on the sheet with the mouse, in its pixels: `draw_stroke(page, (80, 70), …)`."""

    def draw(page: Page, *points: tuple[int, int]) -> None:
        sheet = page.locator("canvas.upper-canvas")
        sheet.scroll_into_view_if_needed()
        box = sheet.bounding_box()
        assert box is not None
        for number, (x, y) in enumerate(points):
            page.mouse.move(box["x"] + x, box["y"] + y, steps=8)
            if number == 0:
                page.mouse.down()
        page.mouse.up()

    return draw
