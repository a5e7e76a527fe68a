"""The form of a new sweep: what to try and how often, what that means, and the button that starts it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from digits.client.choices import Architecture
from digits.client.errors import ClientError, Refused
from digits.client.records import Recipe, Recipes, Sweep, SweepRange, Training, TrainingOptions

from frontend import connection, style, wording
from frontend.sweeps import ranges, words
from frontend.sweeps.estimate import sweep_s
from frontend.training.words import ARCHITECTURES

TRIALS, MOST_TRIALS = 10, 100

SHOWN = "sweep_shown"
"""In the session: the id of the sweep that is shown."""
_REQUEST, _ASKED, _FAULT = "sweep_request_id", "sweep_asked", "sweep_form_fault"


def form(recipes: Recipes, runs: Sequence[Training], newest: Sweep | None) -> None:
    """Show the form. `runs` tell how long a trial may take, `newest` whether a sweep runs now."""
    # The best trial is chosen on validation digits, and each begins anew.
    fitting = [each for each in recipes.recipes if not each.uses_all_data and not each.uses_samples]
    if not fitting:
        style.notice("None of this server's recipes keeps digits aside to choose the best trial on.")
        return
    by_name = {recipe.name: recipe for recipe in fitting}
    with st.container(gap="xsmall"):
        name = st.selectbox(
            "Recipe",
            list(by_name),
            format_func=lambda each: by_name[each].title,
            key="sweep_recipe",
            persist_state="session",
        )
        recipe = by_name[name]
        style.small_print(recipe.description)
    with st.container(gap="xxsmall"):
        st.markdown("**What to try**")
        style.small_print("Two choices or more are tried against each other; a single one is for all trials.")
    tried, common = ranges.choose(recipe, recipes)
    wanted, epochs = _how_much(recipe, recipes)
    trials = min(wanted, ranges.different(tried)) if tried else wanted
    ends_early = st.checkbox(
        "End trials that fall behind",
        value=True,
        key="sweep_ends_early",
        persist_state="session",
        help="After some of its epochs a trial is compared with the others after as many. One that is far "
        "behind is ended, so that the time goes where it is promising. It leaves no version.",
    )
    deploys = st.checkbox(
        "Deploy the best if it passes the gate", key="sweep_deploy", persist_state="session"
    )
    why_not = _why_not(recipes, tried, newest)
    seconds = sweep_s(
        runs,
        recipe,
        trials=trials,
        epochs=epochs,
        architectures=_architectures(tried, common),
        at_once=newest.at_once if newest else 1,
    )
    told = words.plan(
        recipe.title,
        tried,
        trials=trials,
        epochs=epochs,
        ends_early=ends_early,
        deploys=deploys,
        seconds=seconds,
    )
    if trials < wanted:
        told += " These choices hold no more different trials."
    style.notice(why_not or told)
    st.button(
        f"Start {trials} trials",
        type="primary",
        icon=":material/play_arrow:",
        disabled=bool(why_not),
        key="sweep_start",
        on_click=_ask,
        width="stretch",
    )
    if st.session_state.pop(_ASKED, False) and not why_not:
        common = replace(common, epochs=epochs)
        _start(recipe.name, tried, common, trials=trials, keep_all=not ends_early, deploys=deploys)
        st.rerun()
    if fault := st.session_state.pop(_FAULT, None):
        style.wrong(fault)


def _how_much(recipe: Recipe, recipes: Recipes) -> tuple[int, int]:
    """How many trials, and how many epochs each."""
    left, right = st.columns(2, gap="small")
    bounds = recipes.option_ranges["epochs"]
    with left:
        trials = st.number_input(
            "Trials",
            2,
            MOST_TRIALS,
            value=TRIALS,
            step=1,
            key="sweep_trials",
            persist_state="session",
        )
    with right:
        epochs = st.number_input(
            "Epochs of each",
            int(bounds.min),
            int(bounds.max),
            value=recipe.defaults.epochs or int(bounds.min),
            step=1,
            key=f"sweep_{recipe.name}_epochs",
            persist_state="session",
        )
    return trials, epochs


def _why_not(recipes: Recipes, tried: Sequence[SweepRange], newest: Sweep | None) -> str:
    if recipes.data_source is None:
        return "A sweep can start when the digits are there."
    if newest is not None and not newest.state.is_final:
        return "One sweep runs at a time: the next can start when it has ended."
    if not tried:
        return "Nothing is tried yet: widen the range of learning rates, or choose two of something."
    return ""


def _architectures(tried: Sequence[SweepRange], common: TrainingOptions) -> list[Architecture]:
    """The networks that a sweep trains; none where the recipe says."""
    told = next((each.values for each in tried if each.option == "architecture"), ())
    several = [each for each in ARCHITECTURES if each.name.lower() in told]
    return several or [each for each in (common.architecture,) if each]


def _ask() -> None:
    """Note the click: only the run that follows it knows what the form says."""
    st.session_state[_ASKED] = True


def _start(
    recipe: str,
    tried: Sequence[SweepRange],
    common: TrainingOptions,
    *,
    trials: int,
    keep_all: bool,
    deploys: bool,
) -> None:
    # The id stays until an answer comes, so that a second click after a lost answer starts no second sweep.
    request_id = st.session_state.setdefault(_REQUEST, uuid.uuid4().hex)
    try:
        started = connection.client().start_sweep(
            recipe,
            tried,
            common,
            trials=trials,
            keep_all=keep_all,
            deploy_when_done=deploys,
            request_id=request_id,
        )
        st.session_state[SHOWN] = started.sweep_id
    except Refused as error:
        st.session_state[_FAULT] = wording.sentence(error.message)
    except ClientError as error:
        connection.note(error)
        st.session_state[_FAULT] = wording.sentence(error.message)
        return
    del st.session_state[_REQUEST]
