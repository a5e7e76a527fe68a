"""The Mistakes page's view, kept for each visitor: in the session, and in the address.

The view is the one truth. Widgets are given their value from it before each run and write back into it when
they change, so that a click in the matrix, a select box and a link all do the same.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import streamlit as st
from digits.client.choices import MisclassifiedOrder

from frontend import binding
from frontend.binding import Binding
from frontend.confusion import Cell
from frontend.mistakes.address import from_query, to_query
from frontend.mistakes.view import View

_VIEW = "mistakes_view"
_ADDRESS = "mistakes_address"
_WIDGET = "mistakes_{}"


def arrive() -> View:
    """The view of this run: what a changed address asks for, or what the visitor looked at last."""
    address = st.query_params.to_dict()
    # Coming back from another page, its widgets are gone, and the link in the masthead carries no query.
    is_back = not address and not binding.is_shown(_WIDGET.format("part"))
    if address != st.session_state.get(_ADDRESS, {}) and not is_back:
        st.session_state[_VIEW] = from_query(address)
    elif is_back:
        st.session_state[_VIEW] = replace(view(), digit=None)
    return view()


def view() -> View:
    """The present view."""
    kept: View = st.session_state.get(_VIEW, View())
    return kept


def write_address(shown: View) -> None:
    """Put into the address what is shown, version and data set too; nothing while all is as at first."""
    address = {} if view() == View() else to_query(shown)
    st.session_state[_ADDRESS] = address
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)


def bind(name: str, value: object, *fields: str) -> Binding:
    """Give a widget this value, and have what it changes to written into the view's field of the same name.

    A pair goes into the two `fields`.
    """

    def write(chosen: Any) -> None:
        _list(**(dict(zip(fields, chosen, strict=True)) if fields else {name: chosen}))

    return binding.bind(_WIDGET.format(name), value, write)


def choose(cell: Cell) -> None:
    """Show the mistakes of one cell, row or column of the matrix."""
    _list(true_digit=cell.true_digit, predicted_digit=cell.predicted_digit)


def choose_digit(digit: int | None) -> None:
    """Show only digits labelled with this one, or with any, whatever they are read as."""
    _list(true_digit=digit, predicted_digit=None)


def shuffle() -> None:
    """Another random order."""
    _list(order=MisclassifiedOrder.RANDOM, seed=random.randrange(1, 10_000))


def clear() -> None:
    """Show every mistake."""
    st.session_state[_VIEW] = view().without_filters()


def turn_to(page: int) -> None:
    """Show another page of the digits."""
    st.session_state[_VIEW] = replace(view(), page=page, digit=None)


def open_digit(index: int | None) -> None:
    """Open the digit at this place of the data set; None closes it."""
    st.session_state[_VIEW] = replace(view(), digit=index)


def _list(**values: Any) -> None:
    """Show other digits, or in another order: from the first page, and none of them open."""
    st.session_state[_VIEW] = replace(view().listing, **values)
