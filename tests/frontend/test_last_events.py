"""What a run has shown reaches the browser, whatever is run next: with Streamlit's own sessions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime, RuntimeConfig
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner.script_cache import ScriptCache

from frontend import last_events

PATIENCE_S = 30.0
# Two parts of a page that are run apart from each other.
SCRIPT = """
import streamlit as st

@st.fragment
def answer():
    runs = st.session_state["answers"] = st.session_state.get("answers", 0) + 1
    st.text(f"answer {runs}")

@st.fragment
def banner():
    runs = st.session_state["banners"] = st.session_state.get("banners", 0) + 1
    st.text(f"banner {runs}")

answer()
banner()
"""


class Visitor:
    """A session of a page with two fragments, and what its browser is sent."""

    def __init__(self, script: Path, files: MemoryUploadedFileManager) -> None:
        self.session = AppSession(ScriptData(str(script), False), files, ScriptCache(), None, {})
        self.fragments: dict[str, str] = {}
        self.seen: list[str] = []

    def ask(self, part: str = "") -> None:
        """Have the whole page run, or a part of it."""
        self.session.request_rerun(ClientState(fragment_id=self.fragments.get(part, "")))

    def wait_without_listening(self) -> None:
        """Keep the event loop from everything until the thread that runs has ended."""
        assert self.session._scriptrunner is not None
        thread = self.session._scriptrunner._script_thread
        assert thread is not None
        thread.join(PATIENCE_S)
        assert not thread.is_alive()

    async def until_seen(self, *expected: str) -> None:
        """Let the session go on until the browser was sent all of this; what it was sent is in `seen`."""
        deadline = time.monotonic() + PATIENCE_S
        while not set(expected) <= set(self.seen) or self.session._scriptrunner is not None:
            assert time.monotonic() < deadline, f"expected {expected}, seen is {self.seen}"
            await asyncio.sleep(0.001)
            for message in self.session.flush_browser_queue():
                if message.WhichOneof("type") == "delta" and message.delta.new_element.HasField("text"):
                    said = message.delta.new_element.text.body
                    self.seen.append(said)
                    self.fragments[said.split()[0]] = message.delta.fragment_id


@pytest.fixture
async def visitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Visitor]:
    """Somebody who has seen the whole page once."""
    monkeypatch.setattr(AppSession, "_create_scriptrunner", AppSession._create_scriptrunner)
    last_events.keep()
    script = tmp_path / "page.py"
    script.write_text(SCRIPT)
    files = MemoryUploadedFileManager("/files")
    # There may be one in a process; it keeps the media files of all sessions.
    monkeypatch.setattr(Runtime, "_instance", None)
    Runtime(RuntimeConfig(str(script), MemoryMediaFileStorage("/media"), files))
    visitor = Visitor(script, files)
    visitor.ask()
    await visitor.until_seen("answer 1", "banner 1")
    yield visitor
    visitor.session.shutdown()


async def test_an_answer_is_seen_though_the_banner_is_run_before_anybody_has_listened(
    visitor: Visitor,
) -> None:
    visitor.ask("answer")
    visitor.wait_without_listening()
    visitor.ask("banner")

    await visitor.until_seen("answer 2", "banner 2")


async def test_two_requests_that_meet_an_ended_thread_are_both_carried_out(visitor: Visitor) -> None:
    visitor.ask("answer")
    visitor.wait_without_listening()
    visitor.ask("banner")
    visitor.ask("answer")

    await visitor.until_seen("banner 2", "answer 3")


async def test_a_session_that_has_ended_runs_nothing_any_more(visitor: Visitor) -> None:
    visitor.ask("answer")
    visitor.wait_without_listening()
    visitor.ask("banner")
    visitor.session.shutdown()
    await asyncio.sleep(0.1)

    assert visitor.session._scriptrunner is None
