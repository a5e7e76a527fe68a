"""One digit, large: as it was drawn, as the model sees it; to be labelled anew or deleted."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

import streamlit as st
from digits.client.errors import ClientError
from digits.client.records import Sample, SampleFilter

from frontend import connection, feedback, gallery, style, wording
from frontend.binding import bind
from frontend.my_digits import words

# Of a session: the sample that is open, what was changed since, the drawings of its page, what went wrong.
_OPEN, _CHANGED, _DRAWINGS = "sample-open", "sample-changed", "sample-drawings"
_SURE, _FAULT, _LABEL = "sample-sure", "sample-fault", "sample-label"

_KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"BM": "bmp"}


def open_at(sample_id: str) -> None:
    """Open the detail of this sample, in this run if `show` comes after."""
    st.session_state[_OPEN] = sample_id
    st.session_state.pop(_SURE, None)


def show(samples: Sequence[Sample], chosen: SampleFilter, page_token: str) -> None:
    """Show the detail, if it is open on one of these samples: a page of those that `chosen` lets pass.

    It stays open until it is closed, also when the page runs again, as after a moment without the server.
    """
    if any(sample.sample_id == st.session_state.get(_OPEN) for sample in samples):
        _dialog(samples, chosen, page_token)


def _close() -> None:
    for key in (_OPEN, _CHANGED, _DRAWINGS, _SURE, _FAULT):
        st.session_state.pop(key, None)


@st.dialog("One of my digits", width="medium", on_dismiss=_close)
def _dialog(samples: Sequence[Sample], chosen: SampleFilter, page_token: str) -> None:
    if _OPEN not in st.session_state:
        # It was deleted: what shows the others runs again without it.
        st.rerun()
    ids = [sample.sample_id for sample in samples]
    place = ids.index(st.session_state[_OPEN])
    changed: dict[str, Sample] = st.session_state.setdefault(_CHANGED, {})
    sample = changed.get(ids[place], samples[place])
    drawn, seen = st.columns(2, gap="small", wrap=False)
    with drawn:
        _drawing(sample, chosen, page_token)
    with seen:
        st.caption("As the model sees it")
        gallery.large_image(sample.pixels, alt=f"{sample.label}, 28×28 pixels")
    # A sample's own: a click that was meant for one labels no other that has come into its place.
    label = bind(f"{_LABEL}-{sample.sample_id}", sample.label, _relabel(sample))
    st.segmented_control("It is a", range(10), required=True, width="stretch", **label)
    st.caption(words.facts(sample))
    if fault := st.session_state.pop(_FAULT, None):
        style.wrong(fault)
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="xsmall"
    ):
        _leaf(ids, place - 1, "Previous", "chevron_left")
        st.caption(f"{place + 1} of {len(ids)}", width="content")
        _leaf(ids, place + 1, "Next", "chevron_right")
    _delete_buttons(sample)


def _leaf(ids: Sequence[str], place: int, name: str, icon: str) -> None:
    is_there = 0 <= place < len(ids)
    st.button(
        name,
        icon=f":material/{icon}:",
        icon_position="left" if name == "Previous" else "right",
        disabled=not is_there,
        on_click=open_at,
        args=(ids[place] if is_there else "",),
        key=f"sample-{name.lower()}",
    )


def _drawing(sample: Sample, chosen: SampleFilter, page_token: str) -> None:
    """The file as it was sent; the page's files are fetched when the first of them is wanted."""
    st.caption("As it was drawn")
    if _DRAWINGS not in st.session_state:
        try:
            found = connection.client().list_samples(chosen, with_drawings=True, page_token=page_token)
            st.session_state[_DRAWINGS] = {each.sample_id: each.drawing for each in found.samples}
        except ClientError as error:
            connection.note(error)
    data = st.session_state.get(_DRAWINGS, {}).get(sample.sample_id, b"")
    kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), "")
    if not kind:
        style.small_print("The drawing cannot be shown now.")
        return
    st.html(
        f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}" alt="The drawing" '
        'style="display:block;max-inline-size:100%;max-block-size:252px;border-radius:.4rem">'
    )


def _delete_buttons(sample: Sample) -> None:
    """Deleting takes two clicks: it cannot be taken back."""
    if st.session_state.get(_SURE) != sample.sample_id:
        st.button(
            "Delete",
            icon=":material/delete:",
            type="tertiary",
            on_click=_ask,
            args=(sample,),
            key="sample-ask",
        )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Delete it for good? Versions that were trained on it stay as they are.")
        st.button("Delete it", on_click=_delete, args=(sample,), key="sample-delete")
        st.button("Keep it", on_click=open_at, args=(sample.sample_id,), key="sample-keep")


def _ask(sample: Sample) -> None:
    st.session_state[_SURE] = sample.sample_id


def _relabel(sample: Sample) -> Callable[[int], None]:
    def relabel(label: int) -> None:
        try:
            now = connection.client().update_sample(sample.sample_id, label)
        except ClientError as error:
            _note(error)
            return
        st.session_state.setdefault(_CHANGED, {})[sample.sample_id] = now
        feedback.remember(now)

    return relabel


def _delete(sample: Sample) -> None:
    try:
        connection.client().delete_sample(sample.sample_id)
    except ClientError as error:
        _note(error)
        return
    feedback.forget(sample.sample_id)
    _close()


def _note(error: ClientError) -> None:
    connection.note(error)
    st.session_state[_FAULT] = wording.sentence(error.message)
