"""The part of the form for a recipe that goes on from a version: which one, and what it would learn."""

from __future__ import annotations

import streamlit as st
from digits.client.choices import SampleUse
from digits.client.errors import ClientError
from digits.client.records import Model, Recipe, SampleFilter

from frontend import connection, style, wording

_BASE = "train_base_version"


def base(recipe: Recipe) -> tuple[int, str]:
    """Choose the version to go on from, 0 for the deployed one; returns it, and why no run can start."""
    try:
        client = connection.client()
        models = client.list_models(page_size=100).models
        samples = client.list_samples(SampleFilter(use=SampleUse.TRAINING), page_size=1).total_size
    except ClientError as error:
        connection.note(error)
        return 0, error.message
    by_version = {model.model_version: model for model in models}
    deployed = next((model for model in models if model.is_deployed), None)
    if st.session_state.get(_BASE, 0) not in (0, *by_version):
        choose(0)
    chosen: int = st.selectbox(
        "Goes on from",
        [0, *by_version],
        format_func=lambda number: name(number, by_version.get(number), deployed),
        key=_BASE,
        persist_state="session",
        help="The new version begins with what this one knows, and learns your digits among MNIST's.",
    )
    model = by_version.get(chosen, deployed)
    if model is not None and model.provenance.samples:
        # What was deleted since is forgotten, and what it has learnt is not learnt on top of itself.
        style.small_print(
            f"Version {model.model_version} was taught digits itself: "
            f"the run begins at what it went on from, version {model.provenance.base_version}."
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        style.small_print(f"{wording.count(samples, 'sample')} to learn.")
        st.page_link("app_pages/my_digits.py", label="My digits", width="content")
    if not samples:
        return chosen, "There is no sample to learn from: say under an answer on the Draw page what it is."
    return chosen, "" if model else "No version is deployed that it could go on from."


def choose(version: int) -> None:
    """Choose a version, 0 for the deployed one. Call it before the form is shown."""
    st.session_state[_BASE] = version


def name(number: int, model: Model | None, deployed: Model | None) -> str:
    """What the list calls a version."""
    if not number:
        return f"Deployed: version {deployed.model_version}" if deployed else "Deployed version"
    return f"Version {number}" + (f" · {model.provenance.recipe}" if model else "")
