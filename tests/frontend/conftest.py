"""The pages without a browser: Streamlit's AppTest on the whole app, against a real server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from digits.client import Deadlines
from streamlit.testing.v1 import AppTest

APP = Path(__file__).parents[2] / "frontend" / "app.py"
RUN_TIMEOUT_S = 120.0


@pytest.fixture
def open_page(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Open a page as a new visitor: `open_page("models")`, or elsewhere: `open_page("draw", address="…")`.

    `query` is what its address asks for. Other keyword arguments are in the session before the first run.
    """

    def open_one(
        name: str,
        *,
        address: str = live_server.address,
        query: Mapping[str, str] | None = None,
        **session: object,
    ) -> AppTest:
        monkeypatch.setenv("DIGITS_SERVER", address)
        # On a busy machine an answer may take longer than a visitor should wait: it counts here what comes.
        monkeypatch.setattr("frontend.client.DEADLINES", Deadlines(read_s=60.0, predict_s=60.0))
        page = AppTest.from_file(str(APP), default_timeout=RUN_TIMEOUT_S)
        for key, value in session.items():
            page.session_state[key] = value
        page.run()
        for key, text in (query or {}).items():
            page.query_params[key] = text
        if name != "draw":
            page.switch_page(f"app_pages/{name}.py").run()
        assert not page.exception
        return page

    return open_one


@pytest.fixture
def html_of() -> Callable[[AppTest], str]:
    """All the HTML that a page wrote itself: `html_of(page)`."""
    return lambda page: "\n".join(element.proto.body for element in page.html)
