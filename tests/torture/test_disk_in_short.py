"""The disk's torture, a few faults of each kind: nothing that was acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import torture_disk


def test_a_disk_that_fills_up_or_is_spoilt_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    figures = torture_disk.run(tmp_path, is_quick=True)
    assert figures["disk_lost"] == 0
    # What they are is printed.
    assert figures["disk_findings"] == 0
    assert figures["disk_faults"] >= 7
    assert figures["disk_acknowledged"] >= 40
