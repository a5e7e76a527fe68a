"""The page when its server is cut off: it says so, keeps what the visitor did, and goes on by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from digits.client import Client
from digits.client.records import TrainingOptions
from playwright.sync_api import Browser, Page, expect
from torture_network_calls import Tally
from torture_parts import ROOT, TortureServer, say

sys.path.insert(0, str(ROOT / "tests" / "live"))
from live_page import LiveApp, draw_stroke
from live_proxy import CLEAR, SILENT, Door, Proxy, Way, Weather

# A page waits up to 5 s for an answer, notices silence within 15 s, polls every 2 s; the rest is for a busy
# machine.
WAIT_MS = 90_000
SEVEN = ((80, 70), (200, 70), (130, 220))
BAR = ((100, 150), (180, 150))
DESKTOP = {"width": 1180, "height": 860}
IS_AT_REST = "!document.querySelector('[data-testid=stApp][data-test-script-state=running]')"
MARK = "window.notReloaded"


@dataclass(frozen=True)
class Cut:
    """A way for the server to be out of reach."""

    name: str
    weather: Weather
    is_reset: bool = False
    is_forgotten: bool = True


CUTS = (
    Cut("a black hole", SILENT),
    Cut("reset", Weather(door=Door.RESETS), is_reset=True),
    Cut("no answer arrives", Weather(lost=frozenset({Way.TO_CLIENT}), door=Door.DEAF)),
    Cut("a black hole that lets go", SILENT, is_forgotten=False),
)


class Visit:
    """One visitor, on one page, before, while and after the server is out of reach."""

    def __init__(self, page: Page, server: TortureServer, proxy: Proxy) -> None:
        self.page = page
        self.server = server
        self._proxy = proxy
        self.run = ""

    def cut(self, cut: Cut) -> None:
        """From now on no call is answered; the page says so."""
        self.page.evaluate(f"{MARK} = true")
        self._proxy.change(cut.weather)
        if cut.is_reset:
            self._proxy.reset_all()

    def is_told(self) -> None:
        """The page tells that its server is away."""
        expect(self.page.locator(".connection-banner")).to_be_visible()

    def heal(self, cut: Cut) -> None:
        """The network is well again; the page goes on by itself."""
        if cut.is_forgotten:
            self._proxy.forget_all()
        self._proxy.change(CLEAR)
        expect(self.page.locator(".connection-banner")).to_be_hidden()

    def check(self) -> None:
        """Nobody reloaded it, and nothing failed in it."""
        assert self.page.evaluate(MARK), "the page was reloaded"
        expect(self.page.get_by_test_id("stException")).to_have_count(0)


def drawing(visit: Visit, cut: Cut) -> None:
    """Draw: a stroke while the server is away gets its answer when it is back, and so does the next one."""
    page = visit.page
    draw_stroke(page, *SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")
    visit.cut(cut)
    draw_stroke(page, *BAR)
    visit.is_told()
    expect(page.get_by_text("Waiting for the server")).to_be_visible()
    visit.heal(cut)
    expect(page.locator(".answer .sureness")).to_contain_text("% sure")
    page.locator(".st-key-sheet-tools").get_by_role("button", name="Clear").click()
    expect(page.get_by_text("The answer appears here")).to_be_visible()
    draw_stroke(page, *SEVEN)
    expect(page.locator(".answer .digit")).to_have_text("7")


def training(visit: Visit, cut: Cut) -> None:
    """Train: a run that ends while the server is away is seen to have ended when it is back."""
    live = visit.page.locator("[class*='st-key-train_live']")
    expect(live.get_by_role("progressbar")).to_be_visible()
    visit.cut(cut)
    visit.is_told()
    with Client(visit.server.address) as client:
        client.cancel_training(visit.run)
    visit.heal(cut)
    expect(live.get_by_text("Cancelled after")).to_be_visible()


def mistakes(visit: Visit, cut: Cut) -> None:
    """Mistakes: a choice that is made while the server is away is carried out when it is back."""
    page = visit.page
    expect(page.get_by_text("Which digit is taken for which")).to_be_visible()
    visit.cut(cut)
    page.get_by_text("Likely label errors").click()
    visit.is_told()
    expect(page.get_by_text("Waiting for the server.")).to_be_visible()
    visit.heal(cut)
    expect(page.get_by_text("Is the label wrong?")).to_be_visible()
    expect(page.get_by_text("Waiting for the server.")).to_be_hidden()


PLACES: dict[str, Callable[[Visit, Cut], None]] = {"/": drawing, "/train": training, "/mistakes": mistakes}


def try_page(server: TortureServer, browser: Browser, folder: Path, tally: Tally, is_quick: bool) -> None:
    """Every page that talks to the server, cut off in every way. `is_quick`: the Draw page, silenced."""
    expect.set_options(timeout=WAIT_MS)
    with Proxy(server.port) as proxy:
        app = LiveApp(proxy.address, folder / "page.log")
        try:
            app.wait()
            for path, act in PLACES.items():
                for cut in CUTS:
                    _try_one(server, browser, proxy, app.url + path, act, cut, folder, tally)
                    if is_quick:
                        return
        finally:
            app.close()


def _try_one(
    server: TortureServer,
    browser: Browser,
    proxy: Proxy,
    url: str,
    act: Callable[[Visit, Cut], None],
    cut: Cut,
    folder: Path,
    tally: Tally,
) -> None:
    tally.faults += 1
    name = f"{act.__name__}, {cut.name}"
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.set_default_timeout(WAIT_MS)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    visit = Visit(page, server, proxy)
    try:
        with Client(server.address) as client:
            if act is training:
                options = TrainingOptions(epochs=200, batch_size=8)
                visit.run = client.start_training("classic", options).training_id
        page.goto(url)
        page.wait_for_function(IS_AT_REST)
        act(visit, cut)
        visit.check()
        assert not failed, failed
    except Exception as error:
        picture = folder / f"{name.replace(', ', '-').replace(' ', '-')}.png"
        page.screenshot(path=picture)
        tally.find(f"the page, {name}: {str(error)[:600]}; see {picture}")
    else:
        say(f"the page, {name}: told, and recovered by itself")
    finally:
        proxy.reset_all()
        proxy.change(CLEAR)
        page.context.close()
