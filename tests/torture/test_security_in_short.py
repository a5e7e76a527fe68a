"""A little of each of the torture's security part: what must not work does not."""

from __future__ import annotations

from pathlib import Path

import torture_security


def test_nobody_gets_in_or_out_who_should_not(tmp_path: Path) -> None:
    found = torture_security.run(tmp_path, is_quick=True)
    assert found["security_failures"] == 0
    assert found["security_checks"] > 2000
