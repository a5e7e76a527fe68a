"""Sweeps on the Train page, without a browser, against a real server. Those that have ended are laid into it;
what the trials of a real one become is for the browser's test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from digits.client import Client
from digits.client.choices import Architecture, Augmentation, Optimizer, SweepState, TrialState
from digits.client.records import SweepRange, TrainingOptions
from streamlit.testing.v1 import AppTest

from server.database import open_database
from server.gate import GateReport
from server.recipes import resolve
from server.sweeps import Sweep, Trial
from server.sweeps import SweepRange as TriedRange
from server.sweeps import SweepState as State
from server.sweeps import TrialState as TrialIs
from server.sweeps.table import SweepTable

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]
DEADLINE_S = 60.0
OPTIMIZERS = SweepRange("optimizer", values=("adam", "sgd"))


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
def client(server: Any) -> Iterator[Client]:
    """Another visitor of the server. What still runs after a test is stopped, and version 1 answers."""
    with Client(server.address) as client:
        yield client
        for sweep in client.list_sweeps(100).sweeps:
            if not sweep.state.is_final:
                client.stop_sweep(sweep.sweep_id, timeout_s=DEADLINE_S)
        client.deploy_model(1)


@pytest.fixture
def page(open_page: OpenPage, server: Any, client: Client) -> AppTest:
    """The page, as a new visitor opens it who then wants to try many."""
    return try_many(open_page("train", address=server.address))


def try_many(page: AppTest) -> AppTest:
    """Go from one run to many."""
    (control,) = (each for each in page.button_group if each.key.startswith("train_mode_control"))
    return control.set_value("many").run()


def lay(server: Any, sweep_id: str, state: State, **fields: Any) -> None:
    """Lay a sweep that has ended into the server, as the newest: two trials that differ in their rate."""
    now = datetime.now(UTC)
    database = open_database(f"sqlite:///{server.data / 'digits.db'}")
    known: dict[str, Any] = {
        "recipe": "classic-fast",
        "options": resolve("classic-fast", {}),
        "ranges": (TriedRange("learning_rate", min=0.001, max=0.1, logarithmic=True),),
        "trials": (laid_trial(1, 0.002), laid_trial(2, 0.05)),
        "created": now,
        "ended": now + timedelta(minutes=2),
    }
    SweepTable(database).insert(Sweep(sweep_id=sweep_id, state=state, **{**known, **fields}))
    database.dispose()


def laid_trial(number: int, rate: float, state: TrialIs = TrialIs.CANCELLED, **fields: Any) -> Trial:
    """A trial that has ended."""
    options = resolve("classic-fast", {"learning_rate": rate, "epochs": 7})
    return Trial(number=number, options=options, state=state, **fields)


def table(page: AppTest) -> list[dict[str, Any]]:
    """The rows of the table of trials."""
    tables = [json.loads(element.proto.json) for element in page.get("bidi_component")]
    (found,) = (each for each in tables if "titles" in each)
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def test_before_the_first_sweep_the_page_says_what_to_do(page: AppTest, html_of: HtmlOf) -> None:
    assert "No sweep yet." in html_of(page)
    assert "Choose what to try and start" in html_of(page)


def test_only_recipes_that_a_sweep_can_compare_are_offered(page: AppTest, client: Client) -> None:
    offered = page.selectbox(key="sweep_recipe").options

    assert "Classic, fast" in offered
    unfit = {each.title for each in client.list_recipes().recipes if each.uses_all_data or each.uses_samples}
    assert len(unfit) == 2
    assert unfit.isdisjoint(offered)


def test_the_form_begins_around_the_recipes_defaults_and_says_what_it_will_do(
    page: AppTest, html_of: HtmlOf
) -> None:
    # The recipe has a rate of 0.01 and batches of 250.
    assert page.select_slider(key="sweep_classic-fast_learning_rate").value == (0.002, 0.05)
    assert page.session_state["sweep_classic-fast_batch_size"] == [125, 250, 500]
    assert page.session_state["sweep_classic-fast_optimizer"] == [Optimizer.ADAM]
    assert page.number_input(key="sweep_trials").value == 10
    assert (
        "Trains Classic, fast 10 times for 3 epochs, with learning rates from 0.002 to 0.05, and batches of "
        "125, 250 or 500, and ends those early that fall behind." in html_of(page)
    )


def test_a_started_sweep_takes_what_the_form_says(page: AppTest, client: Client) -> None:
    page.session_state["sweep_classic-fast_batch_size"] = [64]
    page.session_state["sweep_classic-fast_optimizer"] = [Optimizer.SGD, Optimizer.ADAM]
    page.session_state["sweep_classic-fast_architecture"] = []
    page.session_state["sweep_classic-fast_augmentation"] = [Augmentation.STANDARD]
    page.number_input(key="sweep_trials").set_value(3)
    page.number_input(key="sweep_classic-fast_epochs").set_value(200)
    page.checkbox(key="sweep_ends_early").uncheck()
    page.checkbox(key="sweep_deploy").check()
    page.button(key="sweep_start").click().run()

    sweep = client.list_sweeps(1).sweeps[0]
    assert sweep.ranges == (SweepRange("learning_rate", 0.002, 0.05, logarithmic=True), OPTIMIZERS)
    assert (sweep.recipe, len(sweep.trials), sweep.ends_early) == ("classic-fast", 3, False)
    assert sweep.deploy_when_done
    assert (sweep.options.batch_size, sweep.options.epochs) == (64, 200)
    assert sweep.options.augmentation is Augmentation.STANDARD
    assert sweep.options.architecture is Architecture.MLP
    assert page.query_params["sweep"] == sweep.sweep_id


def test_a_form_that_tries_nothing_cannot_be_started(page: AppTest, html_of: HtmlOf) -> None:
    page.session_state["sweep_classic-fast_batch_size"] = [64]
    page.select_slider(key="sweep_classic-fast_learning_rate").set_range(0.01, 0.01).run()

    assert "Nothing is tried yet" in html_of(page)
    assert page.button(key="sweep_start").disabled


def test_the_plan_counts_no_trial_twice(page: AppTest, html_of: HtmlOf) -> None:
    page.select_slider(key="sweep_classic-fast_learning_rate").set_range(0.01, 0.01).run()

    assert "Trains Classic, fast 3 times for 3 epochs, with batches of 125, 250 or 500" in html_of(page)
    assert "These choices hold no more different trials." in html_of(page)
    assert page.button(key="sweep_start").label == "Start 3 trials"


def test_a_sweep_that_runs_is_what_a_visitor_meets_and_can_be_stopped(
    client: Client, open_page: OpenPage, server: Any, html_of: HtmlOf
) -> None:
    sweep = client.start_sweep("classic-fast", [OPTIMIZERS], TrainingOptions(epochs=200), trials=2)
    page = open_page("train", address=server.address)

    assert "Classic, fast, 2 trials" in html_of(page)
    assert "Adam or SGD" in html_of(page)
    assert [row["options"] for row in table(page)] in ([["Adam"], ["SGD"]], [["SGD"], ["Adam"]])
    assert "One sweep runs at a time" in html_of(page)
    assert page.button(key="sweep_start").disabled

    page.button(key=f"sweep_stop_{sweep.sweep_id}").click().run()

    stopped = client.get_sweep(sweep.sweep_id)
    assert stopped.state is SweepState.STOPPED
    assert {trial.state for trial in stopped.trials} == {TrialState.CANCELLED}
    assert "Stopped after 0 of 2 trials. It left no version." in html_of(page)
    assert not page.button(key="sweep_start").disabled


def test_a_failed_sweep_tells_why(server: Any, page: AppTest, html_of: HtmlOf) -> None:
    lay(server, "failed", State.FAILED, failure_reason="every trial failed; free some space")

    page.run()

    assert "Every trial failed; free some space." in html_of(page)
    assert [row["state"] for row in table(page)] == ["cancelled", "cancelled"]


@pytest.fixture
def done(server: Any, client: Client, add_version: Callable[..., int]) -> int:
    """The version of the best trial of a sweep that is done. Its gate held it back."""
    version = add_version(server, validation_images=500, validation_accuracy=0.988)
    gate = GateReport(
        passed=False, serving_version=1, comparisons=(), reasons=("It reads fewer validation digits.",)
    )
    trials = (
        laid_trial(1, 0.002, TrialIs.FELL_BEHIND, validation_accuracy=0.7, epochs=1),
        laid_trial(2, 0.0512, TrialIs.SUCCEEDED, validation_accuracy=0.988, epochs=7, model_version=version),
    )
    lay(server, f"done-{version}", State.SUCCEEDED, trials=trials, gate=gate)
    return version


def test_the_best_trial_is_told_and_its_version_can_be_deployed(
    done: int, page: AppTest, client: Client, html_of: HtmlOf
) -> None:
    assert "Trial 2 is the best: learning rate 0.0512. It reads 98.80 % of 500 validation" in html_of(page)
    assert "which chose nothing, trial 2 reads" in html_of(page)
    assert f"Version {done} did not pass the gate. It stays a candidate." in html_of(page)
    assert "It reads fewer validation digits." in html_of(page)
    assert [(row["number"], row["state"]) for row in table(page)] == [(2, "best"), (1, "fell behind")]
    button = page.button(key="sweep_deploy_now")
    assert button.label == f"Deploy version {done} anyway"

    button.click().run()

    assert client.get_model().model_version == done
    assert page.button(key="sweep_deploy_now").label == f"Version {done} answers"
    assert page.button(key="sweep_deploy_now").disabled
    assert client.list_deployments(1).deployments[0].cause == f"Deployed by hand after the sweep done-{done}"


def test_the_best_options_fill_the_form_of_one_run(done: int, page: AppTest) -> None:
    page.button(key="sweep_use").click().run()

    assert page.radio(key="train_recipe").value == "classic-fast"
    assert page.number_input(key="train_classic-fast_learning_rate_adam").value == 0.0512
    assert page.number_input(key="train_classic-fast_epochs").value == 7
    assert "sweep" not in page.query_params


def test_the_address_names_the_sweep_that_is_shown(
    server: Any, client: Client, open_page: OpenPage, html_of: HtmlOf
) -> None:
    lay(server, "older", State.FAILED, failure_reason="this one is the older")
    lay(server, "newer", State.STOPPED)

    page = open_page("train", address=server.address)
    assert "No run yet." in html_of(page) or "run-title" in html_of(page)
    page.query_params["sweep"] = "older"
    page.run()

    assert "This one is the older." in html_of(page)
    page.button(key="sweep_show_newer").click().run()
    assert "Stopped after 0 of 2 trials." in html_of(page)
    assert page.query_params["sweep"] == "newer"


def test_a_sweep_that_is_not_there_is_told(
    server: Any, client: Client, open_page: OpenPage, html_of: HtmlOf
) -> None:
    page = open_page("train", address=server.address)
    page.query_params["sweep"] = "nowhere"
    page.run()

    assert "nowhere" in html_of(page)
    assert not page.exception


def test_a_run_that_is_a_trial_leads_to_its_sweep(
    server: Any, client: Client, open_page: OpenPage, html_of: HtmlOf
) -> None:
    sweep = client.start_sweep("classic-fast", [OPTIMIZERS], TrainingOptions(epochs=200), trials=2)
    deadline = time.monotonic() + DEADLINE_S
    while not (run := client.get_sweep(sweep.sweep_id).trials[0].training_id):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    page = open_page("train", address=server.address)
    page.query_params["run"] = run
    page.run()
    assert page.button(key="sweep_of_run").label == "Trial 1 of 2 trials: see them all"

    page.button(key="sweep_of_run").click().run()

    assert page.query_params["sweep"] == sweep.sweep_id
    assert "Classic, fast, 2 trials" in html_of(page)


def test_without_a_server_the_page_stays_and_starting_says_why_not(
    page: AppTest,
    client: Client,
    html_of: HtmlOf,
    dead_address: str,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page.number_input(key="sweep_trials").set_value(5)
    page.number_input(key="sweep_classic-fast_epochs").set_value(200).run()
    before = client.list_sweeps().total_size

    monkeypatch.setenv("DIGITS_SERVER", dead_address)
    page.button(key="sweep_start").click().run()

    assert not page.exception
    assert f"The server at {dead_address} is not answering." in html_of(page)
    assert page.number_input(key="sweep_trials").value == 5
    monkeypatch.setenv("DIGITS_SERVER", server.address)
    page.button(key="sweep_start").click().run()
    assert client.list_sweeps().total_size == before + 1
    assert len(client.list_sweeps(1).sweeps[0].trials) == 5
