"""One misread digit, large: what was read, how sure the model was, and where its probability went."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend import gallery, wording
from frontend.gallery import Tile
from frontend.records import MisclassifiedDigit

_OPEN = "mistake_detail_index"


def tile(digit: MisclassifiedDigit) -> Tile:
    """The digit as a tile of the gallery."""
    sure = wording.percent(digit.confidence, 0)
    return Tile(
        key=digit.index,
        pixels=digit.pixels,
        caption=f"true {digit.true_digit}, read {digit.predicted_digit}",
        note=sure,
        alt=f"true {digit.true_digit}, read {digit.predicted_digit}, {sure} sure, image {digit.index}",
    )


def open_at(index: int) -> None:
    """Open the detail of the digit with this index, in this run if `show` comes after."""
    st.session_state[_OPEN] = index


def show(digits: Sequence[MisclassifiedDigit]) -> None:
    """Show the detail, if it is open on one of these digits; the others can be leafed through from there.

    It stays open until it is closed, also when the page runs again, as after a moment without the server.
    """
    index = st.session_state.get(_OPEN)
    if any(digit.index == index for digit in digits):
        _dialog(digits)


def _close() -> None:
    st.session_state.pop(_OPEN, None)


@st.dialog("One mistake", width="medium", on_dismiss=_close)
def _dialog(digits: Sequence[MisclassifiedDigit]) -> None:
    index = st.session_state.get(_OPEN)
    place = next((place for place, digit in enumerate(digits) if digit.index == index), 0)
    digit = digits[place]
    picture, figures = st.columns([1, 1.25], gap="medium", vertical_alignment="center")
    with picture:
        st.markdown(f"True **{digit.true_digit}**, read **{digit.predicted_digit}**")
        gallery.large_image(digit.pixels, alt=tile(digit).alt)
    with figures:
        _mount_bars(key="mistake_detail_bars", data=_bars(digit))
    st.caption(
        f"Image {digit.index:,} of the data set · loss {digit.loss:.2f} nats · the true digit got "
        f"{wording.percent(digit.probabilities[digit.true_digit])}"
    )
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            disabled=place == 0,
            on_click=open_at,
            args=(digits[place - 1].index,),
            key="mistake_detail_previous",
        )
        st.caption(f"{place + 1} of {len(digits)} on this page", width="content")
        st.button(
            "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=place == len(digits) - 1,
            on_click=open_at,
            args=(digits[(place + 1) % len(digits)].index,),
            key="mistake_detail_next",
        )


def _bars(digit: MisclassifiedDigit) -> list[dict[str, object]]:
    """One bar for each digit: its share, and what it is here."""
    names = {digit.predicted_digit: "read", digit.true_digit: "true"}
    return [
        {"share": share, "shown": wording.percent(share), "name": names.get(candidate, "")}
        for candidate, share in enumerate(digit.probabilities)
    ]


_CSS = """
table { inline-size: 100%; border-collapse: separate; border-spacing: 0 .2rem; font-family: var(--st-font);
  color: var(--st-text-color); font-variant-numeric: tabular-nums; }
th, td { padding: 0; font-weight: inherit; text-align: start; }
th { inline-size: 1.3em; }
.name { inline-size: 2.7em; font-size: .85em; color: var(--tone); }
.shown { inline-size: 4.6em; text-align: end; }
.bar { block-size: .7em; border-radius: 3px;
  background: color-mix(in srgb, var(--st-text-color) 8%, transparent); }
.bar div { block-size: 100%; min-inline-size: 1px; border-radius: 3px; background: var(--tone); }
tr { --tone: var(--st-gray-color); }
tr.true { --tone: var(--st-primary-color); font-weight: 600; }
tr.read { --tone: var(--st-red-color); font-weight: 600; }
"""

_JS = """
export default function ({ data, parentElement }) {
  const rows = data.map((bar, digit) => {
    const row = document.createElement('tr');
    row.className = bar.name;
    const add = (kind, name, text) => {
      const cell = document.createElement(kind);
      cell.className = name;
      cell.textContent = text;
      row.append(cell);
      return cell;
    };
    add('th', '', digit).scope = 'row';
    add('td', 'name', bar.name);
    const track = document.createElement('div');
    track.className = 'bar';
    const filled = document.createElement('div');
    filled.style.inlineSize = `${bar.share * 100}%`;
    track.append(filled);
    add('td', '', '').append(track);
    add('td', 'shown', bar.shown);
    return row;
  });
  parentElement.querySelector('tbody').replaceChildren(...rows);
}
"""

# A component, not HTML: a dialog stands outside of the part of the page that knows the style sheet's colours.
_mount_bars = st.components.v2.component(
    "digit_probability_bars",
    html='<table aria-label="Probability of each digit"><tbody></tbody></table>',
    css=_CSS,
    js=_JS,
)
