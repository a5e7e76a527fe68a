"""Labels marked as wrong, and two versions compared, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from digits.client import Client
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
LABELS = "/mistakes?view=labels&version=2&data=builtin_test"
COMPARED = "/mistakes?view=compare&version=3&base=2&data=builtin_test"


def test_a_tiles_own_button_marks_its_label_and_takes_that_back(
    visit: Visit, app: Any, client: Client
) -> None:
    page = visit(LABELS, app=app)
    mark = page.locator(".gallery .action").first
    expect(page.get_by_text("none is marked yet")).to_be_visible()

    mark.click()

    expect(mark).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Without the 1 marked")).to_be_visible()
    expect(page.get_by_text("75.08 %")).to_be_visible()
    page.reload()
    expect(mark).to_have_attribute("aria-pressed", "true")

    mark.click()
    expect(mark).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text("none is marked yet")).to_be_visible()


def test_marks_are_made_by_keyboard_and_the_focus_stays(visit: Visit, app: Any, client: Client) -> None:
    page = visit(LABELS, app=app)
    page.locator(".gallery .open").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    second = page.locator(".gallery .action").nth(1)
    expect(second).to_be_focused()

    page.keyboard.press("Enter")

    expect(second).to_have_attribute("aria-pressed", "true")
    expect(second).to_be_focused()


def test_a_mark_made_in_the_detail_is_on_the_tile_behind_it(visit: Visit, app: Any, client: Client) -> None:
    page = visit(LABELS, app=app)
    page.locator(".gallery .open").nth(2).click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_role("button", name="Mark its label as wrong").click()

    expect(dialog.get_by_text("Marked: its label")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".gallery .tile").nth(2)).to_contain_class("is-marked")


def test_two_versions_are_compared_by_outcome_and_by_digit(visit: Visit, app: Any) -> None:
    page = visit(COMPARED, app=app)
    expect(page.get_by_text("150 fixed, 20 newly broken")).to_be_visible()
    expect(page.get_by_text("Version 3 is better than version 2, and that is hardly chance")).to_be_visible()

    page.get_by_role("radio", name="Newly broken 20").click()

    expect(page.locator(".gallery .open")).to_have_count(20)
    page.wait_for_url(f"**{COMPARED}&outcome=broken")
    page.get_by_role("button", name="every misread 3", exact=True).click()
    page.wait_for_url("**&outcome=broken&true=3")
    expect(page.locator(".gallery .caption", has_not_text="true 3")).to_have_count(0)

    page.reload()
    expect(page.get_by_role("button", name="every misread 3", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(page.locator(".gallery .caption", has_not_text="true 3")).to_have_count(0)


@pytest.mark.parametrize("address", [LABELS, COMPARED, "/mistakes?version=2&data=builtin_test"])
def test_no_part_of_the_page_needs_scrolling_sideways_on_a_phone(
    visit: Visit, app: Any, address: str
) -> None:
    page = visit(address, app=app, is_phone=True)
    expect(page.locator(".gallery .open").first).to_be_visible()

    widths = page.get_by_test_id("stMain").evaluate("(main) => [main.scrollWidth, main.clientWidth]")

    assert widths[0] == widths[1]
