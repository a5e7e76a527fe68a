"""The Train page without a browser, against a real server. What a run becomes is for the browser's tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from digits.client import Client
from digits.client.choices import Optimizer, TrainingState
from digits.client.records import TrainingOptions
from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    """A server of its own, with its digits ready."""
    server = launch_server(DIGITS_MNIST="")
    client = Client(server.address)
    deadline = time.monotonic() + DEADLINE_S
    while client.list_datasets().data_progress:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.close()
    return server


@pytest.fixture
def client(server: Any) -> Any:
    """Another visitor of the server. What still runs after a test is cancelled."""
    client = Client(server.address)
    yield client
    for run in client.list_trainings(100).trainings:
        if not run.state.is_final:
            client.cancel_training(run.training_id)
    client.close()


@pytest.fixture
def train_page(open_page: OpenPage, server: Any, client: Client) -> AppTest:
    """The page, as a new visitor opens it."""
    return open_page("train", address=server.address)


def start_long_run(page: AppTest) -> AppTest:
    """Start a run that goes on for longer than any test."""
    page.number_input(key="train_classic_epochs").set_value(200).run()
    return page.button(key="train_start").click().run()


def component(page: AppTest) -> list[dict[str, str]]:
    """The rows of the table of runs."""
    (element,) = page.get("bidi_component")
    rows: list[dict[str, str]] = json.loads(element.proto.json)["rows"]
    return rows


def test_before_the_first_run_the_page_says_what_to_do(
    open_page: OpenPage, launch_server: Callable[..., Any], html_of: HtmlOf
) -> None:
    fresh = launch_server(DIGITS_MNIST="")

    assert "No run yet." in html_of(open_page("train", address=fresh.address))


def test_the_page_tells_which_digits_a_run_trains_on(train_page: AppTest, html_of: HtmlOf) -> None:
    assert "Trains on: " in html_of(train_page)
    assert "5,000" in html_of(train_page)


def test_the_form_begins_with_the_recipes_defaults(train_page: AppTest, client: Client) -> None:
    recipes = client.list_recipes()
    assert train_page.radio(key="train_recipe").options == [f"**{each.title}**" for each in recipes.recipes]
    classic = recipes.recipes[0].defaults

    for option in ("epochs", "batch_size", "seed"):
        box = train_page.number_input(key=f"train_classic_{option}")
        assert box.value == getattr(classic, option)
        assert (box.min, box.max) == (recipes.option_ranges[option].min, recipes.option_ranges[option].max)
    assert train_page.number_input(key="train_classic_learning_rate_adam").value == classic.learning_rate
    assert train_page.checkbox(key="train_deploy").value is False


def test_each_recipe_keeps_its_own_changes_until_they_are_taken_back(train_page: AppTest) -> None:
    train_page.number_input(key="train_classic_epochs").set_value(7).run()

    train_page.radio(key="train_recipe").set_value("cnn").run()
    assert train_page.number_input(key="train_cnn_epochs").value != 7
    train_page.radio(key="train_recipe").set_value("classic").run()
    assert train_page.number_input(key="train_classic_epochs").value == 7

    train_page.button(key="train_reset").click().run()
    assert train_page.number_input(key="train_classic_epochs").value == 10


def test_a_started_run_takes_the_options_of_the_form(train_page: AppTest, client: Client) -> None:
    train_page.number_input(key="train_classic_batch_size").set_value(64).run()
    train_page.number_input(key="train_classic_seed").set_value(5).run()
    train_page.checkbox(key="train_deploy").check().run()
    start_long_run(train_page)

    run = client.list_trainings(1).trainings[0]
    assert (run.recipe, run.options.epochs, run.options.batch_size, run.options.seed) == (
        "classic",
        200,
        64,
        5,
    )
    assert run.options.learning_rate == 0.001
    assert run.deploy_when_done


def test_what_is_changed_just_before_the_click_counts(train_page: AppTest, client: Client) -> None:
    # All of it reaches the page together with the click, as from somebody who is fast.
    train_page.number_input(key="train_classic_epochs").set_value(200)
    train_page.number_input(key="train_classic_seed").set_value(7)
    train_page.checkbox(key="train_deploy").check()
    train_page.button(key="train_start").click().run()

    (run,) = (each for each in client.list_trainings(9).trainings if not each.state.is_final)
    assert (run.options.epochs, run.options.seed, run.deploy_when_done) == (200, 7, True)


def test_another_optimizer_brings_the_rate_that_suits_it(train_page: AppTest, client: Client) -> None:
    train_page.session_state["train_classic_optimizer"] = Optimizer.SGD
    train_page.run()
    assert train_page.number_input(key="train_classic_learning_rate_sgd").value is None
    start_long_run(train_page)

    assert client.list_trainings(1).trainings[0].options.learning_rate == 0.1


def test_a_run_can_be_cancelled_and_started_again(
    train_page: AppTest, client: Client, html_of: HtmlOf
) -> None:
    start_long_run(train_page)
    run = client.list_trainings(1).trainings[0]
    train_page.run()
    assert "MLP · relu · Adam 0.001 · 200 epochs" in html_of(train_page)

    train_page.button(key=f"train_cancel_{run.training_id}").click().run()

    assert client.get_training(run.training_id).state is TrainingState.CANCELLED
    assert "It left no version." in html_of(train_page)
    assert component(train_page)[0]["state"] == "cancelled"
    train_page.button(key=f"train_again_{run.training_id}").click().run()
    again = client.list_trainings(1).trainings[0]
    assert again.training_id != run.training_id
    assert again.options == run.options


def test_a_second_run_waits_with_its_place_and_can_be_cancelled_there(
    train_page: AppTest, client: Client, html_of: HtmlOf
) -> None:
    start_long_run(train_page)
    first = client.list_trainings(1).trainings[0]
    train_page.button(key="train_start").click().run()
    second = client.list_trainings(1).trainings[0]
    assert second.training_id != first.training_id

    assert "It is 1st in line and starts by itself." in html_of(train_page)
    train_page.button(key=f"train_show_{first.training_id}").click().run()
    assert "waiting, 1st in line" in html_of(train_page)
    train_page.button(key=f"train_cancel_{second.training_id}").click().run()

    assert client.get_training(second.training_id).state is TrainingState.CANCELLED
    assert not client.get_training(first.training_id).state.is_final


def test_when_eight_runs_wait_the_next_is_refused_in_the_servers_words(
    train_page: AppTest, client: Client, html_of: HtmlOf
) -> None:
    for _ in range(9):
        client.start_training("classic", TrainingOptions(epochs=200))

    train_page.button(key="train_start").click().run()

    assert "One training runs and 8 are waiting already" in html_of(train_page)


def test_a_second_visitor_sees_the_run_and_changes_nothing_by_looking(
    train_page: AppTest, open_page: OpenPage, server: Any, client: Client
) -> None:
    start_long_run(train_page)
    run = client.list_trainings(1).trainings[0]

    other = open_page("train", address=server.address)

    assert f"train_cancel_{run.training_id}" in {button.key for button in other.button}
    assert not client.get_training(run.training_id).state.is_final


def test_the_address_names_the_run_that_is_shown(
    open_page: OpenPage, server: Any, client: Client, html_of: HtmlOf
) -> None:
    old = client.start_training("classic", TrainingOptions(epochs=199))
    client.cancel_training(old.training_id)
    client.start_training("classic", TrainingOptions(epochs=198))

    page = open_page("train", address=server.address)
    assert "198 epochs" in html_of(page)
    page.query_params["run"] = old.training_id
    page.run()

    assert "199 epochs" in html_of(page)
    assert "It left no version." in html_of(page)


def test_all_runs_are_listed_newest_first_page_by_page(
    client: Client, open_page: OpenPage, server: Any
) -> None:
    for epochs in range(101, 113):
        client.cancel_training(client.start_training("classic", TrainingOptions(epochs=epochs)).training_id)

    page = open_page("train", address=server.address)

    assert [row["options"].split(" · ")[3] for row in component(page)] == [
        f"{epochs} epochs" for epochs in range(112, 102, -1)
    ]
    page.button(key="train_older").click().run()
    assert "102 epochs" in component(page)[0]["options"]
    page.button(key="train_newer").click().run()
    assert "112 epochs" in component(page)[0]["options"]


def test_every_option_is_explained_where_it_stands(train_page: AppTest) -> None:
    origins = [each.value for each in train_page.caption if each.value.startswith(("Comp", "An illus"))]

    assert len(origins) == 11


def test_a_run_tells_which_images_choose_its_best_epoch(
    client: Client, open_page: OpenPage, server: Any
) -> None:
    def notes() -> str:
        return " ".join(caption.value for caption in open_page("train", address=server.address).caption)

    run = client.start_training("cnn", TrainingOptions(epochs=200))
    assert "chosen on the validation images, never on the test images" in notes()
    client.cancel_training(run.training_id)

    client.start_training("classic", TrainingOptions(epochs=200))
    assert "keeps none aside" in notes()


def test_without_a_server_the_page_stays_and_starting_says_why_not(
    train_page: AppTest,
    html_of: HtmlOf,
    dead_address: str,
    server: Any,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train_page.number_input(key="train_classic_epochs").set_value(7).run()

    monkeypatch.setenv("DIGITS_SERVER", dead_address)
    train_page.button(key="train_start").click().run()

    assert not train_page.exception
    assert f"The server at {dead_address} is not answering." in html_of(train_page)
    assert train_page.number_input(key="train_classic_epochs").value == 7
    monkeypatch.setenv("DIGITS_SERVER", server.address)
    train_page.button(key="train_start").click().run()
    assert client.list_trainings(1).trainings[0].options.epochs == 7


def test_without_a_server_from_the_start_the_page_waits(
    open_page: OpenPage, dead_address: str, html_of: HtmlOf
) -> None:
    assert "Waiting for the server." in html_of(open_page("train", address=dead_address))
