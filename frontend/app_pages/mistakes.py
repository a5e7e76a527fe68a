"""Mistakes: how many there are, which digit is taken for which, and every single one to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from frontend import connection, style, wording
from frontend.choices import Dataset
from frontend.confusion import confusion_matrix
from frontend.errors import ClientError, ServerUnavailable
from frontend.mistakes import measuring, source, state
from frontend.mistakes.browser import browse, filters
from frontend.mistakes.sheet import sheet
from frontend.mistakes.view import View
from frontend.records import Evaluation, Model

# In rem, so that the numbers stand below one another at any size of type.
LOOK = """<style>
.mistakes-headline { margin: .25rem 0 0; font: 600 1.75rem/1.25 var(--serif); }
.mistakes-headline span { color: var(--wrong); }
.per-class { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.per-class th, .per-class td { padding: .3rem .25rem; text-align: end; font-weight: inherit; }
.per-class th:first-child { text-align: start; }
.per-class tr { border-bottom: 1px solid var(--rule); }
.per-class tr.is-weakest { font-weight: 600; }
.per-class thead { color: var(--ink-soft); font-size: .85rem; }
</style>"""


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
    evaluation = measuring.find(view.model_version, view.dataset)
    if evaluation is None:
        measuring.panel(view.model_version, view.dataset)
        return
    headline(evaluation)
    if not evaluation.misclassified:
        style.empty("Not one mistake.", "Look at another version or another data set.")
        return
    left, right = st.columns([1, 1.2], gap="large")
    with left:
        st.subheader("Which digit is taken for which")
        confusion_matrix(
            evaluation.confusion_matrix, chosen=view.cell, key="mistakes_matrix", on_pick=state.choose
        )
    with right:
        st.subheader("The misread digits")
        filters(view)
        browse(view)
    left, right = st.columns([1, 1.2], gap="large")
    with left:
        class_table(evaluation)
    with right:
        sheet(view, evaluation.evaluation_id)


def pick(models: Sequence[Model], available: Sequence[Dataset], view: View) -> View:
    """Choose the version and the data set; returns the view with both."""
    by_version = {model.model_version: model for model in models}
    deployed = next((model.model_version for model in models if model.is_deployed), models[0].model_version)
    version = view.model_version or deployed
    if version not in by_version:
        style.notice(f"There is no version {version}. This is version {deployed}.")
        version = deployed
    left, right = st.columns(2)
    left.selectbox(
        "Version",
        list(by_version),
        format_func=lambda number: version_name(by_version[number]),
        key=state.bind("model_version", version),
        on_change=state.changed("model_version"),
    )
    own = by_version[version].evaluation
    wanted = [view.dataset, own.dataset if own else Dataset.UNSPECIFIED, available[0]]
    dataset = next(each for each in wanted if each in available)
    right.selectbox(
        "Measured on",
        available,
        format_func=dataset_name,
        key=state.bind("dataset", dataset),
        on_change=state.changed("dataset"),
    )
    return replace(view, model_version=version, dataset=dataset)


def headline(evaluation: Evaluation) -> None:
    """How many are wrong, and how sure that number is."""
    low, high = evaluation.accuracy_low * 100, evaluation.accuracy_high * 100
    st.html(
        f'<p class="mistakes-headline"><span>{evaluation.misclassified:,}</span> '
        f"of {evaluation.images:,} wrong</p>"
        f'<p class="lead">{wording.percent(evaluation.accuracy, 2)} right, '
        f"95 % interval {low:.2f}–{high:.2f} % · mean loss {evaluation.loss:.4f} nats · "
        f"measured {wording.ago(evaluation.create_time)}</p>"
    )


def class_table(evaluation: Evaluation) -> None:
    """Precision, recall and F1 of each digit; the weakest one stands out."""
    st.subheader("How well each digit is read")
    weakest = min(evaluation.per_class, key=lambda each: each.f1, default=None)
    rows = "".join(
        f'<tr class="{"is-weakest" if each is weakest else ""}"><th scope="row">{each.digit}</th>'
        f"<td>{wording.percent(each.precision)}</td><td>{wording.percent(each.recall)}</td>"
        f"<td>{wording.percent(each.f1)}</td><td>{each.support:,}</td></tr>"
        for each in evaluation.per_class
    )
    columns = "".join(
        f'<th scope="col">{name}</th>' for name in ("Digit", "Precision", "Recall", "F1", "Images")
    )
    st.html(f'<table class="per-class"><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>')
    st.caption(
        "Precision: of what was read as this digit, the share that is it. Recall: of this digit, the share "
        "that was read as it. F1: their harmonic mean."
    )


def version_name(model: Model) -> str:
    """A version in a list: number, recipe, accuracy, and whether it answers."""
    parts = [f"Version {model.model_version}", model.provenance.recipe]
    if model.evaluation:
        parts.append(wording.percent(model.evaluation.accuracy, 2))
    if model.is_deployed:
        parts.append("deployed")
    return " · ".join(parts)


def dataset_name(dataset: Dataset) -> str:
    """A data set in a list."""
    name = wording.DATASETS[dataset]
    return name[:1].upper() + name[1:]


st.html(LOOK)
st.title("Mistakes")
try:
    page()
except ServerUnavailable as error:
    connection.note(error)
    style.empty("Waiting for the server.", "What you chose is kept, and this page goes on by itself.")
except ClientError as error:
    style.wrong(wording.sentence(error.message))
