"""The Models page, and the frame of all pages, in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from server.gate import GateComparison, GateData, GateReport

Visit = Callable[..., Page]

SHIPPED = Path(__file__).parents[2] / "server" / "shipped"
HELD = GateReport(
    passed=False,
    serving_version=1,
    comparisons=(
        GateComparison(GateData.VALIDATION, 5000, 0.9728, 0.9956, -0.0228, -0.0276, -0.0186, passed=False),
    ),
    reasons=("It reads fewer of the 5,000 validation digits correctly than version 1.",),
)


@pytest.fixture(scope="module")
def app_of_two(launch_server: Callable[..., Any], launch_app: Callable[[str], Any]) -> Any:
    """The app on a server with two versions; the first is deployed."""
    server = launch_server()
    server.stop()
    models = server.data / "models"
    shutil.copytree(models / "000001", models / "000002")
    server.start()
    return launch_app(server.address)


def test_deploying_by_a_click_says_so_and_another_visitor_sees_it(visit: Visit, app_of_two: Any) -> None:
    page = visit("/models", app=app_of_two)
    card = page.locator(".st-key-model-2")

    card.get_by_role("button", name="Deploy").click()

    expect(card.get_by_text("Version 2 answers from now on.")).to_be_visible()
    expect(card.get_by_text("Deployed", exact=True)).to_be_visible()
    expect(page.locator(".st-key-model-1").get_by_role("button", name="Deploy")).to_be_visible()
    other = visit("/models", app=app_of_two)
    expect(other.locator(".st-key-model-2").get_by_text("Deployed", exact=True)).to_be_visible()


@pytest.fixture
def app_with_candidate(
    launch_server: Callable[..., Any], launch_app: Callable[[str], Any], add_version: Callable[..., int]
) -> Any:
    """The app on a server with a second version that was held back at the gate."""
    server = launch_server(DIGITS_MNIST="")
    add_version(server, HELD, base_version=1, samples=23)
    return launch_app(server.address)


def test_a_candidate_is_deployed_anyway_rolled_back_exported_and_deleted(
    visit: Visit, app_with_candidate: Any
) -> None:
    page = visit("/models", app=app_with_candidate)
    card = page.locator(".st-key-model-2")
    expect(card.get_by_text("Did not pass the gate. It stays a candidate.")).to_be_visible()
    expect(card.get_by_text("Went on from version 1, taught 23 digits of My digits")).to_be_visible()

    card.get_by_role("button", name="Deploy anyway").click()
    expect(card.get_by_text("Version 2 answers from now on.")).to_be_visible()
    page.get_by_role("button", name="Roll back to version 1").click()
    expect(page.get_by_text("Version 1 answers again. Version 2 is still here")).to_be_visible()
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)
    expect(page.get_by_role("cell", name="Rolled back from version 2 to version 1")).to_be_visible()

    card.get_by_text("Details of version 2").click()
    card.get_by_role("radio", name="ONNX").click()
    save = card.get_by_role("button", name="Save digits-2.onnx")
    expect(save).to_contain_text("kB)")
    with page.expect_download() as download:
        save.click()
    content = download.value.path().read_bytes()
    assert download.value.suggested_filename == "digits-2.onnx"
    assert content == (SHIPPED / "model.onnx").read_bytes()
    expect(card.get_by_text(sha256(content).hexdigest()).last).to_be_visible()

    card.get_by_role("button", name="Delete version 2").click()
    expect(card.get_by_text("Delete version 2 for good?")).to_be_visible()
    card.get_by_role("button", name="Yes, delete version 2").click()
    expect(page.get_by_text("Version 2 is deleted.")).to_be_visible()
    expect(card).to_have_count(0)
    expect(page.get_by_role("cell", name="Version 2 was deleted")).to_be_visible()


def test_details_unfold_to_provenance_and_figures(visit: Visit) -> None:
    page = visit("/models")

    page.get_by_text("Details of version 1").click()

    expect(page.get_by_text("Data checksum")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Recall, %")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/mistakes", "/train", "/models"])
def test_no_page_scrolls_sideways_on_a_phone(visit: Visit, path: str) -> None:
    page = visit(path, is_phone=True)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")

    # Streamlit scrolls within its own element.
    scrolled = """() => [document.documentElement, document.querySelector('[data-testid="stMain"]')]
        .map(element => element.scrollWidth - element.clientWidth)"""
    assert page.evaluate(scrolled) == [0, 0]
    for name in ("Draw", "Mistakes", "Train", "Models"):
        expect(page.get_by_role("link", name=name)).to_be_in_viewport()


def test_light_and_dark_follow_the_visitors_system(visit: Visit) -> None:
    background = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
    for scheme, colour in (("light", "rgb(251, 248, 241)"), ("dark", "rgb(25, 24, 21)")):
        page = visit(color_scheme=scheme)
        expect(page.get_by_role("heading", name="Draw a digit")).to_be_visible()
        page.wait_for_function(f"{background} === '{colour}'")


def test_streamlits_own_chrome_is_gone(visit: Visit) -> None:
    page = visit()
    expect(page.get_by_role("heading", name="Draw a digit")).to_be_visible()

    for name in ("stMainMenu", "stAppDeployButton", "stToolbar", "stStatusWidget"):
        expect(page.get_by_test_id(name)).to_be_hidden()
