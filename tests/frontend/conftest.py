"""The pages without a browser: Streamlit's AppTest on the whole app, against a real server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

APP = Path(__file__).parents[2] / "frontend" / "app.py"
RUN_TIMEOUT_S = 30.0


@pytest.fixture
def open_page(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Open a page as a new visitor: `open_page("models")`, or elsewhere: `open_page("draw", address="…")`.

    Other keyword arguments are in the session before the first run.
    """

    def open_one(name: str, *, address: str = live_server.address, **session: object) -> AppTest:
        monkeypatch.setenv("DIGITS_SERVER", address)
        page = AppTest.from_file(str(APP), default_timeout=RUN_TIMEOUT_S)
        for key, value in session.items():
            page.session_state[key] = value
        page.run()
        if name != "draw":
            page.switch_page(f"app_pages/{name}.py").run()
        assert not page.exception
        return page

    return open_one


@pytest.fixture
def html_of() -> Callable[[AppTest], str]:
    """All the HTML that a page wrote itself: `html_of(page)`."""
    return lambda page: "\n".join(element.proto.body for element in page.html)


@pytest.fixture
def dead_address() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="session")
def seven_png() -> bytes:
    """A seven as the canvas gives it: dark on paper, 280x280 pixels."""
    image = Image.new("RGB", (280, 280), "#fdfbf5")
    ImageDraw.Draw(image).line([(80, 70), (200, 70), (130, 220)], fill="#1d2433", width=16, joint="curve")
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def two_sevens_png() -> bytes:
    """Two sevens beside each other on the wide sheet: dark on paper, 720x280 pixels."""
    image = Image.new("RGB", (720, 280), "#fdfbf5")
    for left in (100, 400):
        ImageDraw.Draw(image).line(
            [(left, 70), (left + 120, 70), (left + 50, 220)], fill="#1d2433", width=16, joint="curve"
        )
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
