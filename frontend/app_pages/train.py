"""Train: start one run or many, watch them learn, and go on with what they became.

All of its state lives in the server.
"""

from __future__ import annotations

from html import escape

import streamlit as st
from digits.client.choices import TrainingState
from digits.client.errors import ClientError, ServerUnavailable
from digits.client.records import Model, Recipe, Recipes, Training

from frontend import connection, style, wording
from frontend.sweeps import form as sweep_form
from frontend.sweeps import mode
from frontend.sweeps import view as sweeps_view
from frontend.training import result, words
from frontend.training import run as run_panel
from frontend.training.compare import compare
from frontend.training.form import form
from frontend.training.table import RunRow, runs_table

# The explanations are the labels of the options: quiet, close to them, no menu's arrow. On a phone a run
# that goes on comes before the form, and many axes of a plot move in a box of their own.
LOOK = """<style>
.st-key-train_form [data-testid="stPopoverButton"] { min-height: 0; padding: .1rem 0; color: var(--ink); }
.st-key-train_form [data-testid="stPopoverButton"] p [role="img"] { font-size: 1rem; color: var(--ink-soft); }
.st-key-train_form [data-testid="stPopoverButton"] > div > [aria-hidden="true"] { display: none; }
[class*="st-key-sweep_other_"] { flex-wrap: nowrap; }
.sweeps-others { font: 600 1.05rem var(--serif); margin: .6rem 0 0; padding: 0; }
@media (max-width: 640px) {
  [data-testid="stColumn"]:has(.st-key-train_live_active) { order: -1; }
  .st-key-sweep_progress .run-figures { grid-template-columns: repeat(3, 1fr); min-width: 15rem; }
  .st-key-sweep_plot_wide { overflow-x: auto; }
  .st-key-sweep_plot_wide > * { min-width: 34rem; }
}
</style>"""
POLL_ACTIVE_S = 1.0
POLL_IDLE_S = 4.0
RUNS_A_PAGE = 10
# One trains and eight wait at most; those that ended in between are on the list too.
RECENT = 30

_RECIPES, _RECENT, _SHOWN, _SEEN = "train_recipes", "train_recent", "train_run", "train_seen"
_ADDRESS, _TOKENS = "train_address", "train_tokens"


def page() -> None:
    """The whole page, from the top."""
    recipes, recent = known()
    if recipes is None:
        style.empty("Waiting for the server.", "This page goes on by itself.")
        return
    data_line(recipes)
    sweeps = sweeps_view.known()
    sweeps_view.arrive(sweeps)
    arrive()
    mode.control()
    left, right = st.columns([1, 1.35], gap="large")
    with left, st.container(key="train_form"):
        if mode.present() == mode.MANY:
            sweep_form.form(recipes, recent, sweeps[0] if sweeps else None)
        else:
            form(recipes)
    st.session_state[_SEEN] = signature(recent), sweeps_view.signature(sweeps)
    is_active = any(not run.state.is_final for run in recent)
    is_active = is_active or any(not sweep.state.is_final for sweep in sweeps)
    # One fragment, always there: it polls fast while something trains, and notices what others start.
    with right, st.container(key="train_live_active" if is_active else "train_live"):
        st.fragment(live, run_every=POLL_ACTIVE_S if is_active else POLL_IDLE_S)()
    earlier_runs({recipe.name: recipe for recipe in recipes.recipes})
    compare(recent, {recipe.name: recipe.title for recipe in recipes.recipes})


def known() -> tuple[Recipes | None, tuple[Training, ...]]:
    """The recipes and the recent runs; those seen last while the server is away."""
    try:
        client = connection.client()
        st.session_state[_RECIPES] = client.list_recipes()
        st.session_state[_RECENT] = client.list_trainings(RECENT).trainings
    except ServerUnavailable as error:
        connection.note(error)
    return st.session_state.get(_RECIPES), st.session_state.get(_RECENT, ())


def data_line(recipes: Recipes) -> None:
    """Which digits a run would train on."""
    source = recipes.data_source.description if recipes.data_source else recipes.data_progress
    style.lead(f"Trains on: {wording.sentence(source or 'the digits are being prepared')}")


def arrive() -> None:
    """Show the run that the address names, if it is another one than before; keep the address up to date."""
    asked = st.query_params.get("run")
    if asked and asked != st.session_state.get(_ADDRESS):
        st.session_state[_SHOWN] = asked
        mode.choose(mode.ONE)
    shown = st.session_state.get(_SHOWN) if mode.present() == mode.ONE else None
    st.session_state[_ADDRESS] = shown
    if shown and asked != shown:
        st.query_params["run"] = shown
    elif asked and not shown:
        del st.query_params["run"]


def live() -> None:
    """The run or the sweep that is shown, and the others. Polls; runs the page again when one ends."""
    try:
        recent = connection.client().list_trainings(RECENT).trainings
        st.session_state[_RECENT] = recent
    except ClientError as error:
        connection.note(error)
        recent = st.session_state.get(_RECENT, ())
    sweeps = sweeps_view.known()
    seen = signature(recent), sweeps_view.signature(sweeps)
    if seen != st.session_state[_SEEN] or result.was_deployed():
        st.rerun()
    recipes: Recipes = st.session_state[_RECIPES]
    by_name = {recipe.name: recipe for recipe in recipes.recipes}
    if mode.present() == mode.MANY:
        sweeps_view.show(sweeps, by_name)
        return
    run = shown_run(recent)
    if run is None:
        style.empty("No run yet.", "Choose a recipe and start training: you can watch it learn here.")
        return
    sweeps_view.part_of(run.training_id, sweeps)
    run_panel.show(run, by_name.get(run.recipe))
    others(recent, run, by_name)


def shown_run(recent: tuple[Training, ...]) -> Training | None:
    """The run that was chosen; otherwise the one that trains, or else the newest."""
    chosen = st.session_state.get(_SHOWN)
    by_id = {run.training_id: run for run in recent}
    if chosen in by_id:
        return by_id[chosen]
    if chosen:
        try:
            return connection.client().get_training(chosen)
        except ClientError as error:
            connection.note(error)
    return next((run for run in recent if run.state is TrainingState.RUNNING), recent[0] if recent else None)


def others(recent: tuple[Training, ...], shown: Training, recipes: dict[str, Recipe]) -> None:
    """The other runs that train or wait, in their order."""
    active = [run for run in reversed(recent) if not run.state.is_final and run is not shown]
    for run in sorted(active, key=lambda each: each.queue_position):
        with st.container(horizontal=True, vertical_alignment="center", key=f"train_other_{run.training_id}"):
            title = recipes[run.recipe].title if run.recipe in recipes else run.recipe
            st.html(
                f"<div><b>{escape(title)}</b> · {escape(words.state(run))}"
                f'<div class="small-print">{escape(words.options_line(run.options))}</div></div>'
            )
            st.button("Show", on_click=choose, args=(run.training_id,), key=f"train_show_{run.training_id}")
            st.button(
                "Cancel",
                on_click=run_panel.cancel,
                args=(run.training_id,),
                key=f"train_cancel_{run.training_id}",
            )


def choose(training_id: str) -> None:
    """Show this run."""
    st.session_state[_SHOWN] = training_id
    mode.choose(mode.ONE)


def earlier_runs(recipes: dict[str, Recipe]) -> None:
    """All runs, newest first, page by page."""
    tokens: list[str] = st.session_state.setdefault(_TOKENS, [""])
    try:
        client = connection.client()
        found = client.list_trainings(RUNS_A_PAGE, tokens[-1])
        models = {model.model_version: model for model in client.list_models(100).models}
    except ClientError as error:
        connection.note(error)
        return
    if not found.trainings:
        return
    st.subheader("All runs")
    rows = [row(run, recipes.get(run.recipe), models.get(run.model_version)) for run in found.trainings]
    shown = shown_run(found.trainings) if mode.present() == mode.ONE else None
    runs_table(rows, shown=shown.training_id if shown else None, key="train_runs", on_pick=choose)
    if found.total_size > RUNS_A_PAGE:
        first = (len(tokens) - 1) * RUNS_A_PAGE + 1
        with st.container(horizontal=True, vertical_alignment="center"):
            last = first + len(found.trainings) - 1
            st.caption(f"{first}–{last} of {wording.count(found.total_size, 'run')}", width="content")
            st.button(
                "Newer", disabled=len(tokens) == 1, on_click=turn, args=(tokens[:-1],), key="train_newer"
            )
            older = [*tokens, found.next_page_token]
            st.button("Older", disabled=not older[-1], on_click=turn, args=(older,), key="train_older")


def row(run: Training, recipe: Recipe | None, model: Model | None) -> RunRow:
    """A run as a line of the table."""
    result = f"version {run.model_version}" if run.model_version else ""
    if model and model.evaluation:
        result += f", {wording.percent(model.evaluation.accuracy, 2)}"
    tones = {
        TrainingState.FAILED: "wrong",
        TrainingState.RUNNING: "active",
        TrainingState.QUEUED: "active",
    }
    took = (run.end_time - run.start_time).total_seconds() if run.start_time and run.end_time else None
    return RunRow(
        training_id=run.training_id,
        started=wording.ago(run.create_time),
        title=recipe.title if recipe else run.recipe,
        state=words.STATES[run.state],
        tone=tones.get(run.state, ""),
        result=result or "–",
        took="–" if took is None else wording.duration(took),
        options=words.options_line(run.options),
    )


def turn(tokens: list[str]) -> None:
    """Go to the page of runs that the last of these tokens names."""
    st.session_state[_TOKENS] = tokens


def signature(runs: tuple[Training, ...]) -> tuple[tuple[str, TrainingState, int], ...]:
    """What the page outside of the fragment shows of the runs: when it changes, the page must run again."""
    return tuple((run.training_id, run.state, run.model_version) for run in runs)


st.html(LOOK)
st.title("Train")
try:
    page()
except ClientError as error:
    style.wrong(wording.sentence(error.message))
