"""One training run, as it stands: what it does now, its curves, its result, and what can be done with it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from html import escape

import streamlit as st

from frontend import charts, connection, style, wording
from frontend.choices import TrainingState
from frontend.errors import ClientError
from frontend.records import Model, Recipe, Training
from frontend.training import tensorboard, words
from frontend.training.form import fill

_FAULT = "train_run_fault"


def show(run: Training, recipe: Recipe | None) -> None:
    """Show a run. `recipe` is None when the server does not know it any more."""
    title = recipe.title if recipe else run.recipe
    st.html(
        f'<h2 class="run-title">{escape(title)} <span>· {escape(words.state(run))}</span></h2>'
        f'<div class="small-print">{escape(words.options_line(run.options))}</div>'
        f'<div class="small-print">{escape(words.circumstances(run))}</div>'
    )
    match run.state:
        case TrainingState.QUEUED:
            _queued(run)
        case TrainingState.RUNNING:
            _running(run)
        case TrainingState.SUCCEEDED:
            _succeeded(run)
        case TrainingState.FAILED:
            style.wrong(wording.sentence(run.failure_reason or "it failed; the server's log tells why"))
        case TrainingState.CANCELLED:
            finished = wording.count(len(run.history), "finished epoch")
            style.notice(f"Cancelled after {finished}. It left no version.")
    if fault := st.session_state.pop(_FAULT, None):
        style.wrong(fault)
    if run.state is not TrainingState.QUEUED:
        _curves(run, recipe)
    _go_on(run)


def cancel(training_id: str) -> None:
    """Cancel a run; what the server says against it is shown with the run."""
    try:
        connection.client().cancel_training(training_id)
    except ClientError as error:
        connection.note(error)
        st.session_state[_FAULT] = wording.sentence(error.message)


def stop(training_id: str) -> None:
    """End a run and keep its best epoch; what the server says against it is shown with the run."""
    try:
        connection.client().stop_training(training_id)
    except ClientError as error:
        connection.note(error)
        st.session_state[_FAULT] = wording.sentence(error.message)


def _queued(run: Training) -> None:
    style.notice(
        f"It is {words.ordinal(run.queue_position)} in line and starts by itself. "
        "You can leave this page meanwhile."
    )
    _cancel_button(run)


def _running(run: Training) -> None:
    now = run.progress
    st.progress(words.share_done(now) if now else 0.0, text=words.where(now))
    unknown = "–"
    left, spent, speed, accuracy, validation = (unknown,) * 5
    if now:
        left = unknown if now.remaining_s is None else wording.duration(now.remaining_s)
        spent = wording.duration(now.elapsed_s)
        speed = f"{now.images_per_s:,.0f} images/s" if now.images_per_s else unknown
        accuracy = wording.percent(now.accuracy) if now.batch else unknown
        if now.validation_accuracy is not None:
            validation = wording.percent(now.validation_accuracy)
    with st.container(horizontal=True, vertical_alignment="center"):
        _figures(
            {
                "Time left": left,
                "So far": spent,
                "Speed": speed,
                "Accuracy, training": accuracy,
                "Accuracy, validation": validation,
            }
        )
        with st.container(horizontal=True, width="content", gap="small"):
            st.button(
                "Stopping …" if run.stopped_early else "Stop and keep",
                icon=":material/flag:",
                on_click=stop,
                args=(run.training_id,),
                disabled=run.stopped_early,
                key=f"train_stop_{run.training_id}",
                help="Ends the run now and keeps its best epoch as a version.",
            )
            _cancel_button(run)


def _figures(figures: Mapping[str, str]) -> None:
    cells = "".join(
        f'<div><div class="small-print">{escape(name)}</div><div class="value">{escape(value)}</div></div>'
        for name, value in figures.items()
    )
    st.html(f'<div class="run-figures">{cells}</div>')


def _cancel_button(run: Training) -> None:
    st.button(
        "Cancel",
        icon=":material/stop_circle:",
        on_click=cancel,
        args=(run.training_id,),
        key=f"train_cancel_{run.training_id}",
        help="Ends the run within two seconds. It leaves no version.",
    )


def _succeeded(run: Training) -> None:
    try:
        model: Model | None = connection.client().get_model(run.model_version)
    except ClientError as error:
        connection.note(error)
        model = None
    measured = model.evaluation if model else None
    result = f"Version {run.model_version} is ready"
    if measured:
        result += (
            f": {wording.accuracy(measured)} of {wording.count(measured.images, 'image')} "
            f"of the {wording.DATASETS[measured.dataset]} read correctly"
        )
    style.done(result + ".")
    is_deployed = model is not None and model.is_deployed
    with st.container(horizontal=True):
        if st.button("Draw with it", type="primary", icon=":material/draw:", key="train_draw"):
            st.session_state["version"] = run.model_version
            st.switch_page("app_pages/draw.py")
        if st.button("See its mistakes", icon=":material/grid_view:", key="train_mistakes"):
            st.switch_page("app_pages/mistakes.py", query_params={"version": str(run.model_version)})
        st.button(
            "Deployed" if is_deployed else "Deploy it",
            icon=":material/check:" if is_deployed else ":material/publish:",
            disabled=is_deployed or model is None,
            on_click=_deploy,
            args=(run.model_version,),
            key="train_deploy_now",
        )


def _deploy(version: int) -> None:
    try:
        connection.client().deploy_model(version)
    except ClientError as error:
        connection.note(error)
        st.session_state[_FAULT] = wording.sentence(error.message)


def _go_on(run: Training) -> None:
    """What anybody may do with a run, whatever became of it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.state.is_final:
            st.button(
                "Start it again",
                icon=":material/replay:",
                on_click=_start_again,
                args=(run,),
                key=f"train_again_{run.training_id}",
                help="A new run with the same options.",
            )
        if st.button(
            "Copy its options",
            icon=":material/tune:",
            on_click=fill,
            args=(run.recipe, run.options, run.deploy_when_done),
            key=f"train_copy_{run.training_id}",
            help="Puts them into the form, to run it again with changes.",
        ):
            # This is a fragment: the form is outside of it.
            st.rerun()
        if run.state is not TrainingState.QUEUED:
            st.link_button(
                "TensorBoard",
                tensorboard.address(run.training_id),
                icon=":material/monitoring:",
                help="Every measure of this run at every half second, in a new tab.",
            )


def _start_again(run: Training) -> None:
    try:
        started = connection.client().start_training(
            run.recipe, run.options, deploy_when_done=run.deploy_when_done, request_id=uuid.uuid4().hex
        )
    except ClientError as error:
        connection.note(error)
        st.session_state[_FAULT] = wording.sentence(error.message)
    else:
        st.session_state["train_run"] = started.training_id


def _curves(run: Training, recipe: Recipe | None) -> None:
    left, right = st.columns(2)
    is_validated = recipe is None or not recipe.uses_all_data
    with left:
        charts.learning_curve(run, charts.LOSS, is_validated=is_validated, key="train_curve_loss")
    with right:
        charts.learning_curve(run, charts.ACCURACY, is_validated=is_validated, key="train_curve_accuracy")
    if not is_validated:
        st.caption(
            "This recipe trains on every training image and keeps none aside, as the classic script does: "
            "there is no validation curve, and its last epoch is taken as it is."
        )
    else:
        st.caption(
            "The best epoch is chosen on the validation images, never on the test images: "
            "those are only measured once, at the end."
        )
