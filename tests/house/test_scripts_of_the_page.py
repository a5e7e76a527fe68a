"""How the page's parts of its own write into a browser, and what Streamlit is told to allow."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "frontend"
SOURCES = [path for path in PAGE.rglob("*") if path.suffix in (".py", ".js", ".html", ".css")]

# Ways from a text to running code, or to elements, in a browser.
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|srcdoc"
    r"|\beval\(|new Function|javascript:|setTimeout\(\s*['\"`]|\.on\w+\s*=\s*['\"`]|import\(|<script"
)
# Ways past Streamlit's own cleaning of HTML, and frames.
UNCLEANED = re.compile(r"unsafe_allow_html|unsafe_allow_javascript|components\.v1|declare_component|iframe")


def places(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """Where a pattern occurs: file and line."""
    return [
        (path.relative_to(PAGE).as_posix(), line.strip())
        for path in sorted(SOURCES)
        for line in path.read_text("utf-8").splitlines()
        if pattern.search(line)
    ]


def test_components_write_texts_as_texts_and_html_in_one_place_only() -> None:
    # What comes there is of `detail_html`, whose every value the other test of this folder follows.
    assert places(SINKS) == [("mistakes/detail.js", "place.innerHTML = data.html;")]
    detail = (PAGE / "mistakes" / "detail.py").read_text("utf-8")
    assert re.findall(r'"html": (\w+)', detail) == ["html"]
    assert re.findall(r"\bhtml = (\w+)\(", detail) == ["detail_html"]


def test_streamlits_own_cleaning_of_html_is_never_turned_off() -> None:
    assert places(UNCLEANED) == []


def test_streamlit_is_told_to_be_careful() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    server = config["server"]
    assert server["address"] == "127.0.0.1"
    assert server["enableXsrfProtection"] is True
    assert server["enableCORS"] is True
    # What a page in somebody's browser may call this one, so that no name of its own leads here.
    assert server["allowedHosts"] == ["localhost", "127.0.0.1", "::1"]
    assert server["maxUploadSize"] == 64
    assert server["maxMessageSize"] <= 32
    assert server["enableStaticServing"] is False
    assert server["enableAgentApi"] is False
    assert config["client"] | {"showErrorDetails": "none", "showErrorLinks": False} == config["client"]
    assert config["browser"]["gatherUsageStats"] is False
