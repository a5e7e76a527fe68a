"""The page as its visitors meet it: a real Streamlit, a real Chromium, and a mouse that draws."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 180.0
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

    @property
    def pid(self) -> int:
        """The process id of the running page."""
        return self._process.pid

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


def launch_chromium(playwright: Playwright) -> Browser:
    """A Chromium: the system's, or else Playwright's own."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)


def draw_stroke(page: Page, *points: tuple[int, int], steps: int = 8) -> None:
    """Draw one stroke on the sheet with the mouse, in its pixels: `draw_stroke(page, (80, 70), …)`.

    `steps`: how many times the mouse moves from one point to the next.
    """
    sheet = page.locator("canvas.upper-canvas")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box is not None
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x, box["y"] + y, steps=steps)
        if number == 0:
            page.mouse.down()
    page.mouse.up()
