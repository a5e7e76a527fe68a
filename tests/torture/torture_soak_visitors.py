"""Visitors of the page who come and go, a program of its own with a real Chromium: they draw and look around.

    python tests/torture/torture_soak_visitors.py URL --seconds 600 --together 3

A visitor who is told that the server is busy or slow waits, as the page says. What it prints at the end is
JSON: how many visits, how many refusals were seen, and what went wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

# By name: there is no `__init__.py` under tests/.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))
from live_page import draw_stroke, launch_chromium

# With two hundred others before the same server.
WAIT_MS = 180_000
SEVEN = ((80, 70), (200, 70), (130, 220))
DESKTOP = {"width": 1180, "height": 860}
# The deployed version is swapped meanwhile for one that reads a seven as an eight.
RIGHT = ("7", "8")
READ = ".answer .digit"
BUSY = "The server is busy"


class Visits:
    """What the visitors saw."""

    def __init__(self, pictures: Path) -> None:
        self.made = 0
        self.refused = 0
        self.findings: list[str] = []
        self._pictures = pictures

    def make(self, browser: Browser, url: str, together: int) -> None:
        """So many visitors come, draw, look around, and go."""
        pages = [browser.new_context(viewport=DESKTOP).new_page() for _ in range(together)]
        for number, page in enumerate(pages):
            failed: list[str] = []
            page.set_default_timeout(WAIT_MS)
            page.on("pageerror", lambda error, failed=failed: failed.append(str(error)))
            try:
                self._draw(page, url)
                self._look_around(page)
                assert not failed, failed
            except Exception as error:
                picture = self._pictures / f"visit-{self.made}-{number}.png"
                page.screenshot(path=picture)
                self.findings.append(f"a visit: {str(error)[:600]}; see {picture}")
        self.made += len(pages)
        for page in pages:
            page.context.close()

    def _draw(self, page: Page, url: str) -> None:
        page.goto(url)
        draw_stroke(page, *SEVEN)
        answered = page.locator(READ).filter(has_text="7").or_(page.locator(READ).filter(has_text="8"))
        busy = page.get_by_text(BUSY)
        while True:
            # The page itself goes on after a slow server; after a refusal it waits for the next stroke.
            expect(answered.or_(busy).first).to_be_visible()
            if answered.count():
                break
            self.refused += 1
            page.wait_for_timeout(1000)
            draw_stroke(page, *SEVEN)
        expect(page.locator(".answer .sureness")).to_contain_text("% sure")

    def _look_around(self, page: Page) -> None:
        for name in ("Mistakes", "My digits", "Train", "Models"):
            page.get_by_role("link", name=name, exact=True).click()
            expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
            expect(page.get_by_test_id("stException")).to_have_count(0)
        page.get_by_role("link", name="Draw", exact=True).click()
        expect(page.locator("canvas.upper-canvas")).to_be_visible()


def main() -> None:
    parser = argparse.ArgumentParser(description="Visit the page, again and again.")
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--together", type=int, default=3)
    parser.add_argument("--pictures", type=Path, default=Path())
    chosen = parser.parse_args()
    expect.set_options(timeout=WAIT_MS)
    visits = Visits(chosen.pictures)
    until = time.monotonic() + chosen.seconds
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        visits.make(browser, chosen.url, chosen.together)
        while time.monotonic() < until:
            visits.make(browser, chosen.url, chosen.together)
        browser.close()
    json.dump({"visits": visits.made, "refused": visits.refused, "findings": visits.findings}, sys.stdout)


if __name__ == "__main__":
    main()
