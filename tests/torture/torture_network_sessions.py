"""Twenty visitors at once on one page: each gets the answer to what they drew, and sees nobody else's."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from torture_network_calls import Tally
from torture_network_page import DESKTOP, IS_AT_REST, WAIT_MS
from torture_parts import ROOT, TortureServer, say, usage_of

sys.path.insert(0, str(ROOT / "tests" / "live"))
from live_page import LiveApp, draw_stroke
from live_proxy import CLEAR, SILENT, Proxy

Stroke = tuple[tuple[int, int], ...]
PROMPT = "The answer appears here"


def around(x: int, y: int, width: int, height: int, start: float, end: float) -> Stroke:
    """A part of an ellipse about a point, from one angle to another, in turns."""
    steps = 8
    turns = [start + (end - start) * step / steps for step in range(steps + 1)]
    return tuple(
        (round(x + width * math.cos(math.tau * turn)), round(y + height * math.sin(math.tau * turn)))
        for turn in turns
    )


# Digits of one stroke or two, on a sheet of 280x280.
DIGITS: dict[str, tuple[Stroke, ...]] = {
    "0": (around(140, 140, 50, 75, 0.0, 1.0),),
    "1": (((140, 60), (140, 220)),),
    "3": (around(135, 100, 45, 38, 0.6, 1.25) + around(135, 180, 48, 42, 0.75, 1.4),),
    "4": (((110, 60), (90, 150), (190, 150)), ((170, 70), (165, 225))),
    "7": (((80, 70), (200, 70), (130, 220)),),
}


@dataclass
class Visitor:
    """One session: a page in a context of its own, and the digit that is drawn there."""

    page: Page
    digit: str
    seen: str = ""
    """What the model saw, as the address of its picture."""

    def draw(self) -> None:
        """Draw the digit, without waiting for the answer."""
        for stroke in DIGITS[self.digit]:
            draw_stroke(self.page, *stroke, steps=2)

    def is_answered(self) -> None:
        """The answer is to this drawing."""
        expect(self.page.locator(".answer .digit")).to_have_text(self.digit)
        # After the last of several strokes.
        self.page.wait_for_function(IS_AT_REST)
        expect(self.page.locator(".answer .digit")).to_have_text(self.digit)
        self.seen = self.page.locator(".seen img").get_attribute("src") or ""
        assert self.seen, "there is no picture of what the model saw"

    def is_as_it_was(self) -> None:
        """Still the same answer, to the same drawing; no fault, no banner."""
        expect(self.page.locator(".answer .digit")).to_have_text(self.digit)
        expect(self.page.locator(f'.seen img[src="{self.seen}"]')).to_have_count(1)
        expect(self.page.get_by_test_id("stException")).to_have_count(0)

    def look_around(self) -> None:
        """Go to another page and back."""
        self.page.get_by_role("link", name="Models").click()
        expect(self.page.get_by_role("heading", name="Models")).to_be_visible()
        self.page.get_by_role("link", name="Draw").click()


def try_sessions(
    server: TortureServer, browser: Browser, folder: Path, tally: Tally, *, is_quick: bool
) -> dict[str, float]:
    """One visitor whose own line to the page breaks, then twenty at once, twice; `is_quick`: two, once."""
    expect.set_options(timeout=WAIT_MS)
    count, rounds = (2, 1) if is_quick else (20, 2)
    app = LiveApp(server.address, folder / "sessions.log")
    errors = tally.findings
    try:
        app.wait()
        if not is_quick:
            with Proxy(app.port) as line:
                _own_line(browser, line, folder, tally)
        before_mb = usage_of(app.pid).rss_mb
        held_mb = [_all_at_once(browser, app, folder, tally, count) for _ in range(rounds)]
    finally:
        app.close()
    say(
        f"{count} sessions at once, {len(held_mb)} times: the page held {before_mb:.0f} MB before, "
        f"{' MB, '.join(f'{one:.0f}' for one in held_mb)} MB with them"
    )
    return {
        "browser_sessions": count,
        "browser_session_errors": tally.findings - errors,
        "browser_mb_per_session": (held_mb[0] - before_mb) / count,
        "browser_rss_growth_pct": 100 * (held_mb[-1] / held_mb[0] - 1),
    }


def _all_at_once(browser: Browser, app: LiveApp, folder: Path, tally: Tally, count: int) -> float:
    """Everybody draws, then everybody looks at the answer. What the page process held meanwhile, in MB."""
    names = list(DIGITS)
    visitors: list[Visitor] = []
    for number in range(count):
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.set_default_timeout(WAIT_MS)
        visitors.append(Visitor(page, names[number % len(names)]))
        page.goto(app.url, wait_until="commit")
    _each(visitors, lambda visitor: expect(visitor.page.get_by_text(PROMPT)).to_be_visible(), folder, tally)
    for act in (
        Visitor.draw,
        Visitor.is_answered,
        Visitor.is_as_it_was,
        Visitor.look_around,
        Visitor.is_as_it_was,
    ):
        _each(visitors, act, folder, tally)
    rss_mb = usage_of(app.pid).rss_mb
    for visitor in visitors:
        visitor.page.context.close()
    return rss_mb


def _each(visitors: list[Visitor], act: Callable[[Visitor], None], folder: Path, tally: Tally) -> None:
    """Have every visitor do something; one who cannot is told, and does no more."""
    for visitor in tuple(visitors):
        try:
            act(visitor)
        except Exception as error:
            picture = folder / f"session-{visitor.digit}-{len(visitors)}.png"
            visitor.page.screenshot(path=picture)
            tally.find(f"a session that drew {visitor.digit}: {str(error)[:600]}; see {picture}")
            visitors.remove(visitor)
            visitor.page.context.close()


def _own_line(browser: Browser, line: Proxy, folder: Path, tally: Tally) -> None:
    """A visitor whose line to the page is reset, and falls silent for a while: the drawing is kept."""
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.set_default_timeout(WAIT_MS)
    visitor = Visitor(page, "7")
    visitors = [visitor]

    def act(visitor: Visitor) -> None:
        page.goto(f"http://{line.address}")
        expect(page.get_by_text(PROMPT)).to_be_visible()
        visitor.draw()
        visitor.is_answered()
        line.reset_all()
        page.wait_for_timeout(500)
        draw_stroke(page, (100, 150), (180, 150))
        expect(page.locator(f'.seen img[src="{visitor.seen}"]')).to_have_count(0)
        page.wait_for_function(IS_AT_REST)
        line.change(SILENT)
        draw_stroke(page, (100, 200), (180, 200))
        page.wait_for_timeout(3000)
        line.change(CLEAR)
        expect(page.locator(".answer .sureness")).to_contain_text("% sure")
        page.locator(".st-key-sheet-tools").get_by_role("button", name="Clear").click()
        expect(page.get_by_text(PROMPT)).to_be_visible()
        visitor.draw()
        visitor.is_answered()

    tally.faults += 2
    _each(visitors, act, folder, tally)
    page.context.close()
