"""Where TensorBoard shows a run."""

from __future__ import annotations

import os
from urllib.parse import quote, urlsplit

import streamlit as st

DEFAULT_PORT = "6006"


def address(training_id: str) -> str:
    """The address of a run in TensorBoard, which is on the machine that this page came from."""
    host = urlsplit(st.context.url or "").hostname or "127.0.0.1"
    port = os.environ.get("DIGITS_TENSORBOARD_PORT") or DEFAULT_PORT
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?runFilter={quote(training_id)}#timeseries"
