"""One training run, as it stands: what it does now, its curves, and what can be done with it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from html import escape

import streamlit as st
from digits.client.choices import TrainingState
from digits.client.errors import ClientError
from digits.client.records import Recipe, Training

from frontend import charts, connection, style, wording
from frontend.training import result, tensorboard, words
from frontend.training.form import fill

_FAULT = result.FAULT


def show(run: Training, recipe: Recipe | None, *, is_brief: bool = False) -> None:
    """Show a run. `recipe` is None when the server does not know it any more.

    `is_brief`: only how far it is and what became of it, as another page than its own wants it.
    """
    title = recipe.title if recipe else run.recipe
    if is_brief:
        when = f"Last time, {wording.ago(run.create_time)}" if run.state.is_final else words.state(run)
        style.small_print(wording.sentence(f"{when}: {words.circumstances(run)}"))
    else:
        st.html(
            f'<h2 class="run-title">{escape(title)} <span>· {escape(words.state(run))}</span></h2>'
            f'<div class="small-print">{escape(words.options_line(run.options))}</div>'
            f'<div class="small-print">{escape(words.circumstances(run))}</div>'
        )
    match run.state:
        case TrainingState.QUEUED:
            _queued(run)
        case TrainingState.RUNNING:
            _running(run, is_brief=is_brief)
        case TrainingState.SUCCEEDED:
            result.show(run, is_brief=is_brief)
        case TrainingState.FAILED:
            style.wrong(wording.sentence(run.failure_reason or "it failed; the server's log tells why"))
        case TrainingState.CANCELLED:
            finished = wording.count(len(run.history), "finished epoch")
            style.notice(f"Cancelled after {finished}. It left no version.")
    if fault := st.session_state.pop(_FAULT, None):
        style.wrong(fault)
    if is_brief:
        st.page_link(
            "app_pages/train.py",
            label="Its curves, on the Train page",
            icon=":material/monitoring:",
            query_params={"run": run.training_id},
        )
        return
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


def _running(run: Training, *, is_brief: bool) -> None:
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
    figures = {"Time left": left, "So far": spent, "Accuracy, validation": validation}
    if not is_brief:
        figures = {
            "Time left": left,
            "So far": spent,
            "Speed": speed,
            "Accuracy, training": accuracy,
            "Accuracy, validation": validation,
        }
    with st.container(horizontal=not is_brief, vertical_alignment="center"):
        _figures(figures)
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
            args=(run.recipe, run.options, run.deploy_when_done, run.base_version),
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
            run.recipe,
            run.options,
            deploy_when_done=run.deploy_when_done,
            base_version=run.base_version,
            request_id=uuid.uuid4().hex,
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
