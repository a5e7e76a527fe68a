"""One sweep as it stands: how far it is, every trial, and what can be done with the best."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape

import streamlit as st
from digits.client.choices import SweepState
from digits.client.errors import ClientError
from digits.client.records import Recipe, Sweep

from frontend import connection, style, wording
from frontend.sweeps import best, mode, plot, table, words

_FAULT, _VERSION = "sweep_fault", "sweep_version"


def show(sweep: Sweep, recipe: Recipe | None) -> None:
    """Show a sweep. `recipe` is None when the server does not know it any more."""
    title = recipe.title if recipe else sweep.recipe
    st.html(
        f'<h2 class="run-title">{words.heading_html(sweep, title)}</h2>'
        f'<div class="small-print">{escape(wording.sentence(words.ranges_words(sweep.ranges)))}</div>'
    )
    match sweep.state:
        case SweepState.RUNNING:
            _running(sweep)
        case SweepState.FAILED:
            style.wrong(wording.sentence(sweep.failure_reason or "it failed; the server's log tells why"))
        case SweepState.STOPPED:
            finished = f"{sweep.trained} of {wording.count(len(sweep.trials), 'trial')}"
            left = "The best of them stays." if sweep.best else "It left no version."
            style.notice(f"Stopped after {finished}. {left}")
    if sweep.best is not None and sweep.state.is_final:
        best.show(sweep)
    if fault := st.session_state.pop(_FAULT, None):
        style.wrong(fault)
    if not sweep.state.is_final or any(trial.validation_accuracy is not None for trial in sweep.trials):
        plot.show(sweep, key="sweep_plot")
    table.trials_table(sweep, key="sweep_trials_table", on_run=_show_run, on_version=_go_to_version)
    if version := st.session_state.pop(_VERSION, None):
        st.switch_page("app_pages/mistakes.py", query_params={"version": str(version)})


def _running(sweep: Sweep) -> None:
    st.progress(words.share_done(sweep), text=words.where(sweep))
    left = sweep.remaining_s
    top = sweep.best
    accuracy = top.validation_accuracy if top else None
    spent = max(0.0, (datetime.now(UTC) - sweep.create_time).total_seconds())
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_progress"):
        _figures(
            {
                "Time left": "–" if left is None else f"about {wording.duration(words.rounded(left))}",
                "So far": wording.duration(spent),
                "Best so far": "–" if accuracy is None else wording.percent(accuracy, 2),
            }
        )
        st.button(
            "Stop",
            icon=":material/stop_circle:",
            on_click=_stop,
            args=(sweep.sweep_id,),
            key=f"sweep_stop_{sweep.sweep_id}",
            help="Ends the trials that train or wait. The best of those that finished stays.",
        )


def _figures(figures: Mapping[str, str]) -> None:
    cells = "".join(
        f'<div><div class="small-print">{escape(name)}</div><div class="value">{escape(value)}</div></div>'
        for name, value in figures.items()
    )
    st.html(f'<div class="run-figures">{cells}</div>')


def _stop(sweep_id: str) -> None:
    try:
        connection.client().stop_sweep(sweep_id)
    except ClientError as error:
        connection.note(error)
        st.session_state[_FAULT] = wording.sentence(error.message)


def _show_run(training_id: str) -> None:
    """Show a trial's run with its curves, where single runs are."""
    st.session_state["train_run"] = training_id
    mode.choose(mode.ONE)


def _go_to_version(version: int) -> None:
    """Note where to go: a callback cannot leave the page."""
    st.session_state[_VERSION] = version
