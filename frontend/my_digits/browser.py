"""The digits themselves: which are shown, a page of tiles, and one of them large when it is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import streamlit as st
from digits.client.choices import SampleSource, SampleUse
from digits.client.errors import ClientError
from digits.client.records import Sample, SampleFilter, Samples

from frontend import connection, style, wording
from frontend.gallery import Line, Tile, gallery
from frontend.my_digits import archive, detail, words

TILES = 100
# None among the options would give the list a button to empty it.
ANY = -1
READINGS: Mapping[str, bool | None] = {"any way": None, "wrongly": True, "rightly": False}

_TOKENS, _TOKENS_OF = "samples-tokens", "samples-tokens-of"
_FILTERS = ("samples-label", "samples-misread", "samples-source", "samples-use")


@st.fragment
def browse() -> None:
    """The filters, the tiles that pass them, what can be done with all of them; a choice reruns no more."""
    chosen = _filters()
    tokens = _tokens(chosen)
    try:
        found = connection.client().list_samples(chosen, page_size=TILES, page_token=tokens[-1])
    except ClientError as error:
        connection.note(error)
        style.wrong(wording.sentence(error.message))
        return
    if found.samples:
        first = (len(tokens) - 1) * TILES + 1
        last = first + len(found.samples) - 1
        shown = f"{first:,}–{last:,} of {wording.count(found.total_size, 'digit')}"
        opened = gallery(
            [_tile(sample) for sample in found.samples], key="samples-gallery", label=f"My digits {shown}"
        )
    else:
        shown, opened = "No digits", None
        style.empty("No digit passes these filters.", "Widen them, or show all.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f'<span class="lead">{shown}</span>', width="content")
        _paging(tokens, found)
        st.button(
            "Show all",
            icon=":material/filter_alt_off:",
            disabled=chosen == SampleFilter(),
            on_click=_show_all,
            key="samples-show-all",
        )
        archive.export_button(chosen, found.total_size)
        archive.import_menu()
    archive.say_added()
    for sample in found.samples:
        if opened is not None and _key(sample) == opened:
            detail.open_at(sample.sample_id)
    detail.show(found.samples, chosen, tokens[-1])


def _filters() -> SampleFilter:
    """Which samples are wanted."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="samples-filters"):
        label = st.selectbox(
            "It is a",
            [ANY, *range(10)],
            format_func=lambda digit: "any" if digit == ANY else str(digit),
            key=_FILTERS[0],
            persist_state="session",
            width=90,
        )
        reading = st.selectbox(
            "Read",
            list(READINGS),
            key=_FILTERS[1],
            persist_state="session",
            width=118,
        )
        source = st.selectbox(
            "From",
            list(words.SOURCES),
            format_func=lambda place: words.SOURCES[place],
            key=_FILTERS[2],
            persist_state="session",
            width=128,
        )
        use = st.selectbox(
            "Used for",
            list(words.USES),
            format_func=lambda use: words.USES[use],
            key=_FILTERS[3],
            persist_state="session",
            width=128,
        )
    return SampleFilter(
        label=None if label == ANY else label, is_misread=READINGS[reading], source=source, use=use
    )


def _show_all() -> None:
    everything = (ANY, next(iter(READINGS)), SampleSource.UNSPECIFIED, SampleUse.UNSPECIFIED)
    for key, value in zip(_FILTERS, everything, strict=True):
        st.session_state[key] = value


def _tile(sample: Sample) -> Tile:
    return Tile(
        key=_key(sample),
        pixels=sample.pixels,
        caption=f"It is {wording.a_digit(sample.label)}",
        note="",
        alt=f"{sample.label}, {words.read(sample)}, {words.by(sample)} sure",
        lines=(Line(words.read(sample), sample.is_misread), Line(words.by(sample))),
    )


def _key(sample: Sample) -> int:
    """A number that stands for a sample; JavaScript counts exactly up to 2**53."""
    return int.from_bytes(hashlib.sha256(sample.sample_id.encode()).digest()[:6])


def _paging(tokens: list[str], found: Samples) -> None:
    if found.total_size <= TILES:
        return
    back, more = tokens[:-1], [*tokens, found.next_page_token]
    st.button("Back", disabled=not back, on_click=_turn, args=(back,), key="samples-back")
    st.button("More", disabled=not more[-1], on_click=_turn, args=(more,), key="samples-more")


def _tokens(chosen: SampleFilter) -> list[str]:
    """The tokens of the pages from the first to the present one; another filter begins at its first page."""
    if st.session_state.get(_TOKENS_OF) != chosen:
        st.session_state[_TOKENS_OF] = chosen
        _turn([""])
    tokens: list[str] = st.session_state[_TOKENS]
    return tokens


def _turn(tokens: list[str]) -> None:
    st.session_state[_TOKENS] = tokens
