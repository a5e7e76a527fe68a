"""The sweeps that the page knows, the one that it shows, and the others."""

from __future__ import annotations

from html import escape

import streamlit as st
from digits.client.choices import SweepState
from digits.client.errors import ClientError
from digits.client.records import Recipe, Sweep

from frontend import connection, style, wording
from frontend.sweeps import mode, panel, words
from frontend.sweeps.form import SHOWN

# One runs at a time; so many are offered to look at again.
RECENT = 6

_KNOWN, _ADDRESS = "sweeps_recent", "sweep_address"


def known() -> tuple[Sweep, ...]:
    """The newest sweeps, newest first; those seen last while the server is away."""
    try:
        st.session_state[_KNOWN] = connection.client().list_sweeps(RECENT).sweeps
    except ClientError as error:  # Also an older server, which knows no sweeps.
        connection.note(error)
    found: tuple[Sweep, ...] = st.session_state.get(_KNOWN, ())
    return found


def arrive(sweeps: tuple[Sweep, ...]) -> None:
    """Show what the address asks for, or else a sweep that runs; keep the address up to date."""
    asked = st.query_params.get("sweep")
    if asked and asked != st.session_state.get(_ADDRESS):
        st.session_state[SHOWN] = asked
        mode.choose(mode.MANY)
    elif not mode.is_chosen():
        is_running = any(not sweep.state.is_final for sweep in sweeps)
        mode.choose(mode.MANY if is_running and "run" not in st.query_params else mode.ONE)
    shown = st.session_state.get(SHOWN) if mode.present() == mode.MANY else None
    st.session_state[_ADDRESS] = shown
    if shown and asked != shown:
        st.query_params["sweep"] = shown
    elif asked and not shown:
        del st.query_params["sweep"]


def show(sweeps: tuple[Sweep, ...], recipes: dict[str, Recipe]) -> None:
    """The sweep that was chosen, or else the newest, and the others below."""
    sweep = _shown(sweeps)
    if sweep is None:
        style.empty(
            "No sweep yet.",
            "Choose what to try and start: each trial trains with options of its own, and you see here "
            "which do best.",
        )
        return
    panel.show(sweep, recipes.get(sweep.recipe))
    _others([each for each in sweeps if each.sweep_id != sweep.sweep_id], recipes)


def part_of(training_id: str, sweeps: tuple[Sweep, ...]) -> None:
    """Say of a run that is a trial which sweep it belongs to, and lead there."""
    for sweep in sweeps:
        for trial in sweep.trials:
            if trial.training_id == training_id:
                st.button(
                    f"Trial {trial.number} of {wording.count(len(sweep.trials), 'trial')}: see them all",
                    icon=":material/arrow_back:",
                    type="tertiary",
                    on_click=_choose,
                    args=(sweep.sweep_id,),
                    key="sweep_of_run",
                )
                return


def signature(sweeps: tuple[Sweep, ...]) -> tuple[object, ...]:
    """What the page outside of the fragment shows of sweeps: when it changes, the page must run again."""
    shown = st.session_state.get(SHOWN) if mode.present() == mode.MANY else None
    return (mode.present(), shown, *((sweep.sweep_id, sweep.state) for sweep in sweeps))


def _shown(sweeps: tuple[Sweep, ...]) -> Sweep | None:
    chosen = st.session_state.get(SHOWN)
    by_id = {sweep.sweep_id: sweep for sweep in sweeps}
    if chosen in by_id:
        return by_id[chosen]
    if chosen:
        try:
            return connection.client().get_sweep(chosen)
        except ClientError as error:
            connection.note(error)
            style.wrong(wording.sentence(error.message))
    return next((each for each in sweeps if each.state is SweepState.RUNNING), sweeps[0] if sweeps else None)


def _others(others: list[Sweep], recipes: dict[str, Recipe]) -> None:
    if not others:
        return
    st.html('<h3 class="sweeps-others">Other sweeps</h3>')
    for sweep in others:
        title = recipes[sweep.recipe].title if sweep.recipe in recipes else sweep.recipe
        best = sweep.best
        accuracy = best.validation_accuracy if best else None
        said = f", best {wording.percent(accuracy, 2)}" if accuracy is not None else ""
        tried = f"{wording.ago(sweep.create_time)}: {words.ranges_words(sweep.ranges)}"
        with st.container(horizontal=True, vertical_alignment="center", key=f"sweep_other_{sweep.sweep_id}"):
            st.html(
                f"<div><b>{escape(title)}</b> · {escape(words.SWEEP_STATES[sweep.state])}{said}"
                f'<div class="small-print">{escape(wording.sentence(tried))}</div></div>'
            )
            st.button("Show", on_click=_choose, args=(sweep.sweep_id,), key=f"sweep_show_{sweep.sweep_id}")


def _choose(sweep_id: str) -> None:
    """Show this sweep."""
    st.session_state[SHOWN] = sweep_id
    mode.choose(mode.MANY)
