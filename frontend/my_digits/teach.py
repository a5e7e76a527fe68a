"""One button that teaches a version the digits, its progress, and what became of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import streamlit as st
from digits.client.choices import SampleUse, TrainingState
from digits.client.errors import ClientError
from digits.client.records import Model, Recipe, SampleFilter, Training

from frontend import connection, style, wording
from frontend.training import result
from frontend.training import run as run_panel
from frontend.verdict import RULE

POLL_ACTIVE_S = 1.0
POLL_IDLE_S = 4.0
# One trains and eight wait at most; those that ended in between are on the list too.
RECENT = 30

_ASKED, _REQUEST, _FAULT, _SEEN = "teach-asked", "teach-request", "teach-fault", "teach-seen"


@dataclass(frozen=True)
class Plan:
    """What a click would do: train on this many digits, going on from this version, by this recipe."""

    recipe: Recipe
    samples: int
    base_version: int
    why_not: str


def panel(models: tuple[Model, ...]) -> None:
    """The button, or the run that goes on, or what became of the last one."""
    st.subheader("Teach it")
    plan = _plan(models)
    if plan is None:
        style.notice("This server has no recipe that learns from samples.")
        return
    runs = _runs(plan.recipe)
    st.session_state[_SEEN] = _signature(runs)
    is_active = any(not run.state.is_final for run in runs)
    if not is_active:
        _button(plan, _last_took_s(runs))
    # Always there: it polls fast while something trains, and notices what others start.
    with st.container(key="teach-live-active" if is_active else "teach-live"):
        st.fragment(_live, run_every=POLL_ACTIVE_S if is_active else POLL_IDLE_S)(plan.recipe)


def _plan(models: tuple[Model, ...]) -> Plan | None:
    """Raises ClientError."""
    client = connection.client()
    recipes = client.list_recipes()
    recipe = next((recipe for recipe in recipes.recipes if recipe.uses_samples), None)
    if recipe is None:
        return None
    samples = client.list_samples(SampleFilter(use=SampleUse.TRAINING), page_size=1).total_size
    deployed = next((model for model in models if model.is_deployed), None)
    base = 0
    if deployed is not None:
        # A version that was taught begins anew from its own base: what was deleted is forgotten.
        base = deployed.provenance.base_version or deployed.model_version
    why_not = ""
    if recipes.data_source is None:
        why_not = f"The digits that it must not forget are being prepared. {recipes.data_progress}"
    elif not samples:
        why_not = "There is no digit to train on: keep some on the Draw page."
    elif not base:
        why_not = "No version is deployed that it could go on from."
    return Plan(recipe, samples, base, why_not)


def _button(plan: Plan, took_s: float | None) -> None:
    st.button(
        "Teach it my digits",
        type="primary",
        icon=":material/school:",
        disabled=bool(plan.why_not),
        on_click=_ask,
        key="teach-start",
        width="stretch",
    )
    if st.session_state.pop(_ASKED, False):
        _start(plan)
        st.rerun()
    if plan.why_not:
        style.notice(plan.why_not)
    else:
        last = "" if took_s is None else f" (the last time took {wording.duration(took_s)})"
        style.small_print(
            f"{wording.count(plan.samples, 'digit')} to learn, mixed with MNIST's "
            "so that it forgets nothing. "
            f"Goes on from version {plan.base_version} and takes half a minute on two idle cores{last}. "
            "The new version is deployed only if it passes the gate; otherwise it stays a candidate."
        )
    if fault := st.session_state.pop(_FAULT, None):
        style.wrong(fault)


def _live(recipe: Recipe) -> None:
    """The run that goes on, or else the last one. Polls; runs the page again when a run begins or ends."""
    runs = _runs(recipe)
    if _signature(runs) != st.session_state[_SEEN] or result.was_deployed():
        st.rerun()
    run = next((run for run in reversed(runs) if not run.state.is_final), runs[0] if runs else None)
    if run is None:
        style.small_print(RULE)
        return
    run_panel.show(run, recipe, is_brief=True)


def _runs(recipe: Recipe) -> list[Training]:
    """The recent runs of the recipe, newest first; those seen last while the server is away."""
    try:
        recent = connection.client().list_trainings(RECENT).trainings
        st.session_state["teach-runs"] = [run for run in recent if run.recipe == recipe.name]
    except ClientError as error:
        connection.note(error)
    runs: list[Training] = st.session_state.get("teach-runs", [])
    return runs


def _signature(runs: list[Training]) -> list[tuple[str, TrainingState]]:
    """What the page outside of the fragment shows of the runs: when it changes, the page must run again."""
    return [(run.training_id, run.state) for run in runs]


def _last_took_s(runs: list[Training]) -> float | None:
    for run in runs:
        if run.state is TrainingState.SUCCEEDED and run.start_time and run.end_time:
            return (run.end_time - run.start_time).total_seconds()
    return None


def _ask() -> None:
    """Note the click: only the run of the page knows the plan."""
    st.session_state[_ASKED] = True


def _start(plan: Plan) -> None:
    # The id stays until an answer comes, so that a second click after a lost answer starts no second run.
    request_id = st.session_state.setdefault(_REQUEST, uuid.uuid4().hex)
    try:
        started = connection.client().start_training(
            plan.recipe.name, deploy_when_done=True, request_id=request_id
        )
        st.session_state["train_run"] = started.training_id
    except ClientError as error:
        connection.note(error)
        st.session_state[_FAULT] = wording.sentence(error.message)
        return
    del st.session_state[_REQUEST]
