"""A few seconds of the soak of `make torture`: the same clients, swaps, training and visitor."""

from __future__ import annotations

from pathlib import Path

import torture_soak
from torture_parts import Usage
from torture_soak_watch import growth


def test_every_answer_is_right_while_versions_are_swapped_a_run_trains_and_somebody_visits(
    tmp_path: Path,
) -> None:
    figures = torture_soak.run(tmp_path, is_quick=True)
    assert figures["soak_requests"] >= 40
    assert figures["soak_visits"] >= 1
    # What was found is printed.
    assert figures["soak_errors"] == 0


def test_growth_is_told_apart_from_warming_up() -> None:
    warming = [Usage(100.0 + 10 * second, 10, 40) for second in range(12)]
    flat = [Usage(220.0 + second % 2, 12, 50) for second in range(28)]
    leaking = [Usage(220.0 + second, 12 + second, 50 + 2 * second) for second in range(28)]

    assert abs(growth(warming + flat).rss_pct) < 0.5
    assert growth(warming + leaking).rss_pct > 5
    assert growth(warming + leaking).threads >= 20
    assert growth(warming + leaking).handles >= 40
