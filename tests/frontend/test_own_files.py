"""A page that cannot use its own token or certificates says so, in a sentence, and goes on once it can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
HtmlOf = Callable[[AppTest], str]


@pytest.mark.parametrize(
    "name", ["DIGITS_TOKEN_FILE", "DIGITS_TLS_CA", "DIGITS_TLS_CLIENT_CERT", "DIGITS_TLS_CLIENT_KEY"]
)
def test_a_file_that_cannot_be_read_is_told_by_its_setting_and_not_by_its_path(
    open_page: OpenPage, html_of: HtmlOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    if name.startswith("DIGITS_TLS_CLIENT"):
        for each in ("DIGITS_TLS_CLIENT_CERT", "DIGITS_TLS_CLIENT_KEY"):
            (tmp_path / each).touch()
            monkeypatch.setenv(each, str(tmp_path / each))
    missing = tmp_path / "secret-place" / "file"
    monkeypatch.setenv(name, str(missing))

    html = html_of(open_page("draw"))

    assert f"This page cannot read the file that {name} names (No such file or directory)." in html
    assert "secret-place" not in html


def test_a_token_that_cannot_be_sent_is_told_without_showing_it(
    open_page: OpenPage, html_of: HtmlOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("train-0123456789abcdef\nand a second line\n")
    monkeypatch.setenv("DIGITS_TOKEN_FILE", str(tmp_path / "token"))

    html = html_of(open_page("draw"))

    assert "This page's settings are not right" in html.replace("&#x27;", "'")
    assert "0123456789abcdef" not in html


def test_the_page_goes_on_once_the_file_can_be_read_and_tells_when_it_no_longer_can(
    open_page: OpenPage, html_of: HtmlOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, live_server: Any
) -> None:
    token = tmp_path / "token"
    monkeypatch.setenv("DIGITS_TOKEN_FILE", str(token))
    page = open_page("draw")
    assert "cannot read" in html_of(page)

    token.write_text("predict-0123456789abcdef\n")
    assert "cannot read" not in html_of(page.run())
    assert page.title[0].value == "Draw a digit"

    token.unlink()
    assert "cannot read" in html_of(page.run())
    assert not page.exception
