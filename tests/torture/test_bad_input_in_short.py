"""A little of everything that a server must refuse is refused, and the server is none the worse for it."""

from __future__ import annotations

from pathlib import Path

import torture_bad_input


def test_a_server_withstands_bad_input_of_every_kind(tmp_path: Path) -> None:
    figures = torture_bad_input.run(tmp_path, is_quick=True)
    assert figures["bad_inputs"] > 500
    assert figures["crashes"] == 0
    assert figures["internal_errors"] == 0
    assert figures["bad_input_faults"] == 0
