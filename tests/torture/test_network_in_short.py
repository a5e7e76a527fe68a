"""A little of the bad network of `make torture`: the same calls, the same page, the same visitors."""

from __future__ import annotations

from pathlib import Path

import torture_network


def test_calls_and_page_survive_a_line_that_breaks_and_one_that_falls_silent(tmp_path: Path) -> None:
    figures = torture_network.run(tmp_path, is_quick=True)
    assert figures["network_faults"] >= 100
    assert figures["browser_sessions"] == 2
    # What was found is printed, with what it takes to repeat it.
    assert (figures["network_hangs"], figures["network_errors"], figures["browser_session_errors"]) == (
        0,
        0,
        0,
    )
