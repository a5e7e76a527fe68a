"""Mistakes: how many there are, which digit is taken for which, and every single one to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st
from digits.client.choices import Dataset
from digits.client.errors import ClientError, ServerUnavailable
from digits.client.records import Model

from frontend import connection, style, wording
from frontend.mistakes import measuring, source, state, words
from frontend.mistakes.compare import compare
from frontend.mistakes.labels import labels
from frontend.mistakes.misread import misread
from frontend.mistakes.view import PARTS, Part, View

LOOK = Path(measuring.__file__).with_name("mistakes.css")


def page() -> None:
    """The whole page, from the top. Raises ClientError."""
    models, datasets = source.every_model(), connection.client().list_datasets()
    available = [info.dataset for info in datasets.datasets if info.is_available]
    if not models:
        style.empty("There is no model version yet.", "Train one, and you will find its mistakes here.")
        return
    if not available:
        style.empty(
            "The digits are being prepared.", datasets.data_progress or "This page goes on by itself."
        )
        return
    view = pick(models, available, state.arrive())
    state.write_address(view)
    if view.part is Part.COMPARE and not view.base_version:
        style.empty(
            "There is only one version.", "Train another one on the Train page, and compare the two here."
        )
        return
    evaluation = measuring.find(view.model_version, view.dataset)
    if evaluation is None:
        measuring.panel(view.model_version, view.dataset)
    elif view.part is Part.MISREAD:
        misread(view, evaluation, models)
    elif view.part is Part.LABELS:
        labels(view, models)
    elif (base := measuring.find(view.base_version, view.dataset)) is None:
        measuring.panel(view.base_version, view.dataset)
    else:
        compare(view, (base, evaluation), models)


def pick(models: Sequence[Model], available: Sequence[Dataset], view: View) -> View:
    """Choose the part of the page, the version or two, and the data set; returns the view with all."""
    st.segmented_control(
        "What to look at",
        list(PARTS),
        format_func=lambda part: PARTS[part],
        required=True,
        label_visibility="collapsed",
        **state.bind("part", view.part),
    )
    by_version = {model.model_version: model for model in models}
    deployed = next((model.model_version for model in models if model.is_deployed), models[0].model_version)
    version = view.model_version or deployed
    if version not in by_version:
        style.notice(f"There is no version {version}. This is version {deployed}.")
        version = deployed
    columns = st.columns(3 if view.part is Part.COMPARE else 2)
    columns[0].selectbox(
        "Version",
        list(by_version),
        format_func=lambda number: words.version_name(by_version[number]),
        **state.bind("model_version", version),
    )
    base = 0
    if view.part is Part.COMPARE:
        others = [number for number in by_version if number != version]
        base = view.base_version if view.base_version in others else best_base(by_version[version], models)
        columns[1].selectbox(
            "Compared with",
            others,
            format_func=lambda number: words.version_name(by_version[number]),
            placeholder="no other version",
            **state.bind("base_version", base or None),
        )
    own = by_version[version].evaluation
    wanted = [view.dataset, own.dataset if own else Dataset.UNSPECIFIED, available[0]]
    dataset = next(each for each in wanted if each in available)
    columns[-1].selectbox(
        "Measured on",
        available,
        format_func=words.dataset_name,
        **state.bind("dataset", dataset),
    )
    return replace(view, model_version=version, base_version=base, dataset=dataset)


def best_base(model: Model, models: Sequence[Model]) -> int:
    """What to compare with at first: the version it went on from, the deployed one, the newest; 0: none."""
    others = [each.model_version for each in models if each.model_version != model.model_version]
    deployed = [each.model_version for each in models if each.is_deployed]
    wanted = [model.provenance.base_version, *deployed, *others]
    return next((number for number in wanted if number in others), 0)


st.html(LOOK)
st.title("Mistakes")
try:
    page()
except ServerUnavailable as error:
    connection.note(error)
    style.empty("Waiting for the server.", "What you chose is kept, and this page goes on by itself.")
except ClientError as error:
    style.wrong(wording.sentence(error.message))
