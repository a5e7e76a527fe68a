"""The Train page in a browser: real runs, from the first click to the version that answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from digits.client import Client
from playwright.sync_api import Page, expect

from server.database import open_database
from server.protocol import EpochMetrics
from server.recipes import resolve
from server.training import TrainingRun, TrainingState
from server.training.table import TrainingTable

Visit = Callable[..., Page]
# The training program loads TensorFlow first, which takes its time on a busy machine.
RUN_MS = 600_000
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    """A server with the built-in digits only, on which a run is short."""
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


@pytest.fixture(autouse=True)
def client(server: Any) -> Iterator[Client]:
    """Another visitor of the server. After each test what still runs is cancelled, and version 1 answers."""
    with Client(server.address) as client:
        yield client
        for run in client.list_trainings(100).trainings:
            if not run.state.is_final:
                client.cancel_training(run.training_id)
        client.deploy_model(1)


def set_epochs(page: Page, epochs: int) -> None:
    """Write the number of epochs into the form."""
    box = page.get_by_label("Epochs", exact=True)
    box.fill(str(epochs))
    box.press("Enter")
    # The form is ready for the click when the page has run with the new number.
    expect(box).to_have_value(str(epochs))
    page.wait_for_function("!document.querySelector('[data-testid=stApp][data-test-script-state=running]')")


def start_long(page: Page) -> None:
    """Start a run that goes on for minutes on any machine."""
    page.get_by_test_id("stRadioGroup").get_by_text("Convolutional network, best").click()
    # The new form comes first, and until the old one has gone there are two of everything.
    expect(page.locator("input[aria-label='Epochs'][value='20']")).to_be_visible()
    expect(page.get_by_label("Epochs", exact=True)).to_have_count(1)
    set_epochs(page, 200)
    page.get_by_role("button", name="Start training").click()


def live(page: Page) -> Any:
    """The part of the page that follows a run."""
    return page.locator("[class*='st-key-train_live']")


def test_a_classic_run_is_watched_from_the_start_to_the_version_that_a_person_deploys(
    visit: Visit, app: Any, client: Client
) -> None:
    page = visit("/train", app=app)
    set_epochs(page, 2)
    page.get_by_text("Deploy it when it is done").click()
    page.get_by_role("button", name="Start training").click()

    expect(live(page).get_by_text("2 epochs")).to_be_visible()
    expect(live(page).get_by_role("progressbar")).to_be_visible()
    expect(live(page).get_by_text("is ready: ")).to_be_visible(timeout=RUN_MS)
    version = client.list_trainings(1).trainings[0].model_version
    expect(live(page).get_by_text("of the built-in test digits read correctly")).to_be_visible()
    # The classic keeps no digits aside that could tell whether it is better.
    expect(live(page).get_by_text("did not pass the gate")).to_be_visible()
    expect(live(page).get_by_text("The recipe classic trains on every digit there is")).to_be_visible()
    live(page).get_by_role("button", name="Deploy anyway").click()
    expect(live(page).get_by_role("button", name="Deployed")).to_be_disabled()
    expect(page.get_by_role("cell", name=f"version {version}")).to_be_visible()
    expect(live(page).locator("canvas, svg.marks")).to_have_count(2)

    page.get_by_role("button", name="See its mistakes").click()
    expect(page.get_by_role("heading", name="Mistakes", exact=True)).to_be_visible()
    expect(page.get_by_text("of 1,000 wrong")).to_be_visible()
    assert f"version={version}" in page.url
    page.get_by_role("link", name="Train").click()
    page.get_by_role("button", name="Draw with it").click()
    expect(page.get_by_role("heading", name="Draw a digit")).to_be_visible()
    expect(page.locator(".st-key-version input")).to_have_value(f"Version {version}")


def test_a_run_goes_on_through_reload_and_absence_until_it_is_cancelled(visit: Visit, app: Any) -> None:
    page = visit("/train", app=app)
    start_long(page)
    expect(live(page).get_by_text("of 200, batch")).to_be_visible(timeout=RUN_MS)

    page.reload()
    expect(live(page).get_by_text("of 200, batch")).to_be_visible()
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    other = visit("/train", app=app, is_polling=True)
    expect(other.locator("[class*='st-key-train_live']").get_by_text("of 200, batch")).to_be_visible()
    page.get_by_role("link", name="Train").click()
    expect(live(page).get_by_text("images/s")).to_be_visible()

    page.get_by_role("button", name="Cancel").click()

    expect(live(page).get_by_text("It left no version.")).to_be_visible()
    expect(other.get_by_text("It left no version.")).to_be_visible()
    expect(page.get_by_role("cell", name="cancelled")).to_be_visible()


def test_an_earlier_run_is_shown_by_its_name_in_the_table(visit: Visit, app: Any, client: Client) -> None:
    cancelled = [client.start_training("cnn").training_id for _ in range(2)]
    for training_id in cancelled:
        client.cancel_training(training_id)
    page = visit("/train", app=app)
    shown = page.locator("tr.shown")
    expect(shown).to_have_count(1)

    page.locator(f"button[data-id='{cancelled[0]}']").click()

    expect(page.locator("tr.shown button")).to_have_attribute("data-id", cancelled[0])
    page.wait_for_url(f"**/train?run={cancelled[0]}")


def test_a_run_that_a_dead_server_left_goes_on_by_itself(visit: Visit, app: Any, server: Any) -> None:
    page = visit("/train", app=app)
    start_long(page)
    expect(live(page).get_by_text("200 epochs")).to_be_visible()
    expect(live(page).get_by_role("progressbar")).to_be_visible()

    server.kill()
    expect(page.get_by_text("No server is answering")).to_be_visible()
    expect(live(page).get_by_text("200 epochs")).to_be_visible()
    server.start()

    expect(page.get_by_text("No server is answering")).to_be_hidden()
    expect(live(page).get_by_text("cut off once, went on by itself")).to_be_visible()
    expect(live(page).get_by_text("of 200, batch")).to_be_visible(timeout=RUN_MS)

    # It is ended early this time, and what it has learnt is kept.
    page.get_by_role("button", name="Stop and keep").click()
    expect(live(page).get_by_text("is ready: ")).to_be_visible(timeout=RUN_MS)
    expect(live(page).get_by_text("stopped early")).to_be_visible()


@pytest.fixture
def app_with_runs(launch_server: Callable[..., Any], launch_app: Callable[[str], Any]) -> Any:
    """The page on a server with two runs that were cancelled, each after two epochs."""
    server = launch_server(DIGITS_MNIST="")
    now = datetime.now(UTC)
    history = tuple(
        EpochMetrics(
            epoch=epoch,
            loss=1 / epoch,
            accuracy=0.5,
            validation_loss=1 / epoch,
            validation_accuracy=0.5,
            duration_s=1,
        )
        for epoch in (1, 2)
    )
    database = open_database(f"sqlite:///{server.data / 'digits.db'}")
    for training_id, recipe, minutes in (("first", "classic", 9), ("second", "cnn-best", 5)):
        run = TrainingRun(
            training_id=training_id,
            recipe=recipe,
            options=resolve(recipe, {"epochs": 200}),
            state=TrainingState.CANCELLED,
            created=now - timedelta(minutes=minutes),
            started=now - timedelta(minutes=minutes),
            ended=now - timedelta(minutes=minutes - 1),
            history=history,
        )
        TrainingTable(database).insert(run)
    database.dispose()
    return launch_app(server.address)


def test_an_earlier_runs_options_are_copied_into_the_form_and_its_curves_compared(
    visit: Visit, app_with_runs: Any
) -> None:
    page = visit("/train", app=app_with_runs)
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("10")
    expect(live(page).get_by_text("It left no version.")).to_be_visible()

    page.get_by_role("button", name="Copy its options").click()

    expect(page.locator("input[aria-label='Epochs'][value='200']")).to_be_visible()
    expect(page.get_by_role("radio", name="Convolutional network, best")).to_be_checked()
    expect(page.get_by_role("heading", name="Compare runs")).to_be_visible()
    for measure in ("Loss (nats)", "Accuracy"):
        label = f"{measure} of 2 runs after each epoch."
        expect(page.get_by_label(label, exact=True)).to_be_visible()
    link = page.get_by_role("link", name="TensorBoard")
    expect(link).to_have_attribute("href", "http://127.0.0.1:6006/?runFilter=second#timeseries")


def test_an_option_explains_itself_where_it_stands(visit: Visit, app: Any) -> None:
    page = visit("/train", app=app)

    page.get_by_role("button", name="Activation").click()

    expect(page.get_by_text("relu lets everything above zero through")).to_be_visible()
    expect(page.get_by_text("Computed from the formula.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Computed from the formula.")).to_be_hidden()


def test_on_a_phone_a_run_that_goes_on_comes_before_the_form(visit: Visit, app: Any, client: Client) -> None:
    client.start_training("cnn-best")
    page = visit("/train", app=app, is_phone=True, is_polling=True)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()

    page.wait_for_function(
        """() => {
            const top = (selector) => document.querySelector(selector).getBoundingClientRect().top;
            return top("[class*='st-key-train_live']") < top('.st-key-train_form');
        }"""
    )
