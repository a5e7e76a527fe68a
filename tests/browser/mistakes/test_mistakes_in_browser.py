"""The Mistakes page in a browser: clicks, keys and files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
WRONG = 250
POOR = "/mistakes?version=2&data=builtin_test"


def test_a_hundred_tiles_come_in_one_component_and_more_brings_the_next_ones(visit: Visit, app: Any) -> None:
    page = visit(POOR, app=app)
    tiles = page.locator(".gallery button")
    expect(tiles).to_have_count(100)
    assert page.locator(".gallery").count() == 1
    first = tiles.first.get_attribute("aria-label")

    page.get_by_role("button", name="More").click()
    expect(tiles.first).not_to_have_attribute("aria-label", str(first))

    expect(tiles).to_have_count(100)
    expect(page.get_by_text("101–200 of 250 mistakes")).to_be_visible()


def test_a_click_on_a_cell_of_the_matrix_filters_and_a_second_one_takes_it_back(
    visit: Visit, app: Any
) -> None:
    page = visit(POOR, app=app)
    cell = page.get_by_role("button", name="true 4, read 5:")
    count = int(cell.inner_text())

    cell.click()

    expect(page.locator(".gallery button")).to_have_count(count)
    expect(page.locator(".gallery .caption").first).to_have_text("true 4, read 5")
    expect(cell).to_have_attribute("aria-pressed", "true")
    page.wait_for_url("**/mistakes?version=2&data=builtin_test&true=4&read=5")
    page.reload()
    expect(page.locator(".gallery button")).to_have_count(count)

    page.get_by_role("button", name="true 4, read 5:").click()
    expect(page.get_by_text(f"1–100 of {WRONG} mistakes")).to_be_visible()


def test_the_matrix_and_the_gallery_are_used_by_keyboard(visit: Visit, app: Any) -> None:
    page = visit(POOR, app=app)
    page.get_by_role("button", name="every misread 3", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**&true=3&read=4")
    expect(page.locator(".gallery .caption", has_not_text="true 3, read 4")).to_have_count(0)

    page.locator(".gallery button").first.focus()
    page.keyboard.press("ArrowRight")
    second = page.locator(".gallery button").nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("Enter")

    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img", name=str(second.get_attribute("aria-label")))).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_sixteen_are_saved_at_a_chosen_resolution(visit: Visit, app: Any) -> None:
    page = visit(POOR, app=app)
    sheet = page.get_by_test_id("stImage").get_by_role("img")
    expect(sheet).to_be_visible()
    assert str(sheet.get_attribute("alt")).count(" | Predict : ") == 16
    old = sheet.get_attribute("src")
    page.get_by_role("button", name="Another sixteen").click()
    expect(sheet).not_to_have_attribute("src", str(old))
    dpi = page.get_by_label("Dots per inch")
    dpi.fill("72")
    dpi.press("Enter")
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG at 72 dpi").click()

    assert download.value.suggested_filename == "mistakes-72dpi.png"
    image = Image.open(download.value.path())
    assert image.format == "PNG"
    assert image.size == (576, 612)


def test_the_csv_file_holds_what_passes_the_filters(visit: Visit, app: Any) -> None:
    page = visit(f"{POOR}&true=4", app=app)
    count = page.locator(".gallery button").count
    expect(page.locator(".gallery .caption").first).to_have_text("true 4, read 5")

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()

    assert download.value.suggested_filename == "mistakes-version-2-builtin_test.csv"
    with download.value.path().open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == count()
    assert {(line["true_digit"], line["predicted_digit"]) for line in lines} == {("4", "5")}
    assert all(abs(sum(float(line[f"p{digit}"]) for digit in range(10)) - 1) < 1e-3 for line in lines)


def test_measuring_a_version_ends_with_its_mistakes_without_a_reload(visit: Visit, app: Any) -> None:
    page = visit("/mistakes?version=1&data=builtin_digits", app=app)

    page.get_by_role("button", name="Measure it").click()

    expect(page.get_by_text("of 5,000 wrong")).to_be_visible()
    expect(page.locator(".gallery button").first).to_be_visible()
