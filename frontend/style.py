"""The look that the theme in .streamlit/config.toml cannot give: a style sheet, small pieces of a page."""

from __future__ import annotations

from html import escape
from pathlib import Path

import streamlit as st

ICON = (
    '<svg viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#fdfbf5"/>'
    '<path d="M8 8h15L13 26" fill="none" stroke="#2a4f9e" stroke-width="4" stroke-linejoin="round"/></svg>'
)
"""A seven on paper. As SVG it comes with the page; an emoji would be fetched from elsewhere."""
PAPER = "#fdfbf5"
"""The sheet that people draw on: light in both themes, so that a drawing survives a change of theme."""
INK = "#1d2433"
"""The ink on that sheet."""


def apply() -> None:
    """Give the page its look. Once per run, before anything else."""
    st.html(Path(__file__).with_suffix(".css"))


def lead(text: str) -> None:
    """One quiet sentence under a page's title. `text` is plain text."""
    st.html(f'<p class="lead">{escape(text)}</p>')


def small_print(text: str) -> None:
    """Figures and sources that few people read. `text` is plain text."""
    st.html(f'<div class="small-print">{escape(text)}</div>')


def notice(text: str) -> None:
    """Something to know, in a calm tone. `text` is plain text."""
    st.html(f'<div class="notice" role="status">{escape(text)}</div>')


def wrong(text: str) -> None:
    """Something went wrong, and what to do about it. `text` is plain text."""
    st.html(f'<div class="notice is-wrong" role="alert">{escape(text)}</div>')


def done(text: str) -> None:
    """Something was done as asked. `text` is plain text."""
    st.html(f'<div class="notice is-done" role="status">{escape(text)}</div>')


def empty(title: str, next_step: str) -> None:
    """An empty state: what is not there yet, and what to do next. Both are plain text."""
    st.html(f'<div class="empty"><b>{escape(title)}</b>{escape(next_step)}</div>')
