"""A loop that meets bugs tells each kind once, and again after a while."""

from __future__ import annotations

import logging

import pytest

from server import unforeseen as module
from server.unforeseen import Unforeseen


def meet(unforeseen: Unforeseen, error: Exception) -> None:
    try:
        raise error
    except type(error) as met:
        unforeseen.tell(met)


def test_a_kind_of_bug_is_told_once_and_again_after_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    unforeseen = Unforeseen(logging.getLogger("a.loop"), "follow")
    for number in range(3):
        meet(unforeseen, TypeError(f"of request {number}"))
    meet(unforeseen, KeyError("another kind"))
    try:
        raise TypeError("at another place")
    except TypeError as error:
        unforeseen.tell(error)
    told = [(record.message, record.__dict__["loop"], record.levelname) for record in caplog.records]
    assert told == [("bug", "follow", "ERROR")] * 3
    monkeypatch.setattr(module, "TOLD_AGAIN_AFTER_S", 0.0)
    meet(unforeseen, TypeError("of request 4"))
    assert len(caplog.records) == 4
    assert "of request 4" in caplog.text
