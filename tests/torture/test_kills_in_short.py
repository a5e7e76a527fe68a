"""A few kills of `make torture`, with the same writers and the same looks afterwards."""

from __future__ import annotations

from pathlib import Path

import torture_kills


def test_nothing_acknowledged_is_lost_when_server_child_and_replica_are_killed(tmp_path: Path) -> None:
    figures = torture_kills.run(tmp_path, is_quick=True)
    assert figures["kills"] >= 4
    assert figures["acknowledged"] >= 50
    # What was found is printed, with the seed that repeats it.
    assert (figures["lost"], figures["half_versions"], figures["kills_faults"]) == (0, 0, 0)
