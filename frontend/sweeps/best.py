"""The best trial of a sweep that has ended: how good it is, how it did at the gate, and the ways on."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from digits.client.errors import ClientError
from digits.client.records import Model, Sweep, Trial

from frontend import connection, style
from frontend.sweeps import mode, words
from frontend.training import result
from frontend.training.form import fill
from frontend.verdict import gate_html, verdict


def show(sweep: Sweep) -> None:
    """Show the best trial; nothing for a sweep without one."""
    trial = sweep.best
    if trial is None:
        return
    model = _model(trial)
    images = model.provenance.validation_images if model else 0
    style.done(words.best(sweep, images))
    tested = words.tested(trial.number, model.evaluation) if model and model.evaluation else ""
    style.small_print(" ".join(filter(None, (words.as_good(sweep, images), tested))))
    if sweep.gate is not None and model is not None:
        style.notice(verdict(sweep.gate, trial.model_version, is_deployed=model.is_deployed))
        tests = result.tests_of(sweep.gate, model)
        st.html(gate_html(sweep.gate, trial.model_version, tests))
    _ways_on(sweep, trial, model)
    if fault := st.session_state.pop(result.FAULT, None):
        style.wrong(fault)


def _model(trial: Trial) -> Model | None:
    """The version that a trial has made; None when it was deleted or the server is away."""
    if not trial.model_version:
        return None
    try:
        return connection.client().get_model(trial.model_version)
    except ClientError as error:
        connection.note(error)
        return None


def _ways_on(sweep: Sweep, trial: Trial, model: Model | None) -> None:
    is_deployed = model is not None and model.is_deployed
    is_held = sweep.gate is not None and not sweep.gate.passed
    with st.container(horizontal=True):
        if trial.model_version:
            kind: Literal["primary", "secondary"] = "secondary" if is_deployed or is_held else "primary"
            version = f"version {trial.model_version}"
            st.button(
                f"{version.capitalize()} answers"
                if is_deployed
                else f"Deploy {version}{' anyway' if is_held else ''}",
                type=kind,
                icon=":material/check:" if is_deployed else ":material/publish:",
                disabled=is_deployed or model is None,
                on_click=result.deploy,
                args=(trial.model_version, f"Deployed by hand after the sweep {sweep.sweep_id}"),
                key="sweep_deploy_now",
            )
        st.button(
            "Use these options",
            icon=":material/tune:",
            on_click=_use,
            args=(sweep.recipe, trial),
            key="sweep_use",
            help="Puts them into the form of a single run, to train longer or with changes.",
        )


def _use(recipe: str, trial: Trial) -> None:
    fill(recipe, trial.options, deploy=False)
    mode.choose(mode.ONE)
