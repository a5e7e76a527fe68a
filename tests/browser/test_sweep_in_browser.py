"""Sweeps in a browser: a real one, from "train one" to the best trial's options in the form of one run."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from digits.client import Client
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
# The training program loads TensorFlow for each trial, which takes its time on a busy machine.
SWEEP_MS = 600_000
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    """A server with the built-in digits only, on which a trial is short."""
    server = launch_server(DIGITS_MNIST="")
    client = Client(server.address)
    deadline = time.monotonic() + DEADLINE_S
    while client.list_datasets().data_progress:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.close()
    return server


@pytest.fixture(scope="module")
def app(launch_app: Callable[[str], Any], server: Any) -> Any:
    """The page on that server."""
    return launch_app(server.address)


def live(page: Page) -> Any:
    """The part of the page that follows a sweep."""
    return page.locator("[class*='st-key-train_live']")


def set_number(page: Page, label: str, number: int) -> None:
    """Write a number into the form, and wait until the page has run with it."""
    box = page.get_by_label(label, exact=True)
    box.fill(str(number))
    box.press("Enter")
    expect(box).to_have_value(str(number))
    page.wait_for_function("!document.querySelector('[data-testid=stApp][data-test-script-state=running]')")


def test_two_trials_are_watched_to_the_best_whose_version_and_options_lead_on(
    visit: Visit, app: Any, server: Any
) -> None:
    page = visit("/train", app=app)
    page.get_by_text("Try many").click()
    expect(live(page).get_by_text("No sweep yet.")).to_be_visible()
    set_number(page, "Trials", 2)
    set_number(page, "Epochs of each", 1)
    expect(page.get_by_text("Trains Classic, fast 2 times for 1 epoch")).to_be_visible()
    page.get_by_role("button", name="Start 2 trials").click()

    expect(live(page).get_by_role("heading", name="Classic, fast, 2 trials")).to_be_visible()
    expect(live(page).get_by_role("progressbar")).to_be_visible()
    expect(live(page).get_by_role("row")).to_have_count(3)
    expect(page.get_by_text("One sweep runs at a time")).to_be_visible()
    expect(live(page).locator("svg.marks, canvas")).to_have_count(1)

    expect(live(page).get_by_text("is the best: learning rate")).to_be_visible(timeout=SWEEP_MS)
    with Client(server.address) as client:
        (sweep,) = client.list_sweeps().sweeps
    best = sweep.best
    assert best is not None
    assert page.url.endswith(f"/train?sweep={sweep.sweep_id}")
    trials = live(page).get_by_role("row").filter(has=page.get_by_role("button", name=re.compile("^Trial")))
    expect(trials).to_have_count(2)
    first = trials.first
    expect(first.get_by_role("cell", name="best", exact=True)).to_be_visible()
    expect(live(page).get_by_role("button", name=f"Deploy version {best.model_version}")).to_be_visible()

    first.get_by_role("button", name=f"Version {best.model_version}").click()
    expect(page.get_by_role("heading", name="Mistakes", exact=True)).to_be_visible()
    assert f"version={best.model_version}" in page.url
    page.get_by_role("link", name="Train").click()

    # A trial is a run like any other, with its curves.
    live(page).get_by_role("button", name=f"Trial {best.number}", exact=True).click()
    expect(live(page).get_by_text("chosen on the validation images")).to_be_visible()
    assert best.training_id in page.url
    live(page).get_by_role("button", name=f"Trial {best.number} of 2 trials: see them all").click()
    live(page).get_by_role("button", name="Use these options").click()

    expect(page.get_by_role("button", name="Start training")).to_be_visible()
    expect(page.get_by_label("Batch size", exact=True)).to_have_value(str(best.options.batch_size))
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("1")
