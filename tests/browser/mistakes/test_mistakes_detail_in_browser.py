"""One digit opened in a browser: by a click, by keys, by a link."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

Visit = Callable[..., Page]
POOR = "/mistakes?version=2&data=builtin_test"
# The place and size of what is below the opened image, read in one step: nothing can move in between.
MEASURE = """(dialog) => {
  const roots = [...dialog.querySelectorAll('*')].map((each) => each.shadowRoot).filter((root) => root);
  const box = (selector) =>
    roots.map((root) => root.querySelector(selector)).find((found) => found).getBoundingClientRect();
  const [sheet, next] = [box('.sheet'), box('.leaf button:last-child')];
  return [sheet.x, sheet.y, sheet.width, next.x, next.y].map(Math.round);
}"""


def sheet_of(dialog: Locator) -> Locator:
    """The opened digit."""
    return dialog.locator(".sheet")


def test_a_tile_opens_with_all_that_is_known_and_the_address_leads_back_to_it(visit: Visit, app: Any) -> None:
    page = visit(POOR, app=app)
    tile = page.locator(".gallery button").first
    alt = str(tile.get_attribute("aria-label"))

    tile.click()

    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img", name=alt)).to_be_visible()
    expect(dialog.locator(".bars").get_by_role("rowheader")).to_have_count(10)
    expect(dialog.locator(".heat").first).to_be_visible()
    expect(dialog.locator(".likes li")).to_have_count(5)
    expect(dialog.locator(".answers").get_by_role("rowheader")).to_have_count(2)
    expect(dialog.get_by_role("button", name="Previous")).to_be_disabled()
    page.wait_for_url(re.compile("&digit=249$"))

    page.reload()
    expect(page.get_by_role("dialog").get_by_role("img", name=alt)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.wait_for_url(re.compile("(?<!digit=249)$"))


def test_the_arrow_keys_lead_from_digit_to_digit_and_nothing_moves(
    visit: Visit, settle: Callable[[Page], None], app: Any
) -> None:
    page = visit(f"{POOR}&order=index&digit=3", app=app)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("4 of 250")).to_be_visible()
    expect(dialog.locator(".likes li")).to_have_count(5)
    settle(page)
    before = dialog.evaluate(MEASURE)

    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_text("5 of 250")).to_be_visible()
    expect(sheet_of(dialog)).to_have_attribute("aria-label", re.compile("image 4$"))
    expect(dialog.locator(".likes li")).to_have_count(5)
    settle(page)

    assert dialog.evaluate(MEASURE) == before
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(dialog.get_by_text("3 of 250")).to_be_visible()
    page.wait_for_url(re.compile("&digit=2$"))


def test_keys_that_are_pressed_faster_than_digits_come_add_up(
    visit: Visit, app: Any, mistakes_server: Any
) -> None:
    page = visit(f"{POOR}&order=index&digit=3", app=app)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("4 of 250")).to_be_visible()

    os.kill(mistakes_server.pid, signal.SIGSTOP)
    try:
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
    finally:
        os.kill(mistakes_server.pid, signal.SIGCONT)

    expect(dialog.get_by_text("7 of 250")).to_be_visible()
    expect(sheet_of(dialog)).to_have_attribute("aria-label", re.compile("image 6$"))


def test_next_and_previous_lead_over_the_pages_of_the_list_to_its_end(visit: Visit, app: Any) -> None:
    page = visit(f"{POOR}&order=index&digit=99", app=app)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("100 of 250")).to_be_visible()

    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_text("101 of 250")).to_be_visible()
    page.wait_for_url(re.compile("&page=2&digit=100$"))
    dialog.get_by_role("button", name="Previous").click()
    expect(dialog.get_by_text("100 of 250")).to_be_visible()
    page.wait_for_url(re.compile("order=index&digit=99$"))

    page.goto(f"{app.url}{POOR}&order=index&digit=248")
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_text("250 of 250")).to_be_visible()
    expect(dialog.get_by_role("button", name="Next")).to_be_disabled()


def test_the_map_can_be_asked_about_the_label_as_well(visit: Visit, app: Any) -> None:
    page = visit(f"{POOR}&order=index&digit=3", app=app)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Why a")).to_have_attribute("aria-pressed", "true")

    other = dialog.get_by_role("button", name="Why not a")
    other.focus()
    page.keyboard.press("Enter")

    expect(other).to_have_attribute("aria-pressed", "true")
    expect(other).to_be_focused()
    expect(dialog.get_by_role("button", name="Why a")).to_have_attribute("aria-pressed", "false")


def test_on_a_phone_the_detail_needs_no_scrolling_sideways(visit: Visit, app: Any) -> None:
    page = visit(f"{POOR}&digit=249", app=app, is_phone=True)
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".likes li")).to_have_count(5)

    widths = dialog.evaluate(
        """(dialog) => [dialog, ...dialog.querySelectorAll('*')]
          .flatMap((each) => [each, ...(each.shadowRoot?.querySelectorAll('*') ?? [])])
          .map((each) => each.getBoundingClientRect().right)"""
    )

    assert max(widths) <= 390
