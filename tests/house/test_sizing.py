"""docs/sizing.md: its table is what its simulation says, and the simulation what is known of queues."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def sizing() -> Any:
    """The program beside the page."""
    spec = importlib.util.spec_from_file_location("sizing", DOCS / "sizing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its records look their own module up.
    import sys

    sys.modules["sizing"] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_page_is_that_of_the_program(sizing: Any) -> None:
    assert sizing.tables() in (DOCS / "sizing.md").read_text(), "run python docs/sizing.py, and put it there"


def test_one_queue_waits_as_long_as_the_formula_of_pollaczek_and_khinchine_says(sizing: Any) -> None:
    busy, mean_ms = 0.6, 1.0
    way = sizing.Way("one", replica_ms=mean_ms)
    one = sizing.Plan(way, rate=busy / mean_ms * 1e3, replicas=1, gates=0)
    # A call takes 0.5 always and 0.5 by chance on average: the square of its spread is a quarter.
    expected_ms = mean_ms + busy * mean_ms * (1 + 0.25) / (2 * (1 - busy))

    taken = sizing.times(one, calls=200_000)

    assert sum(taken) / len(taken) == pytest.approx(expected_ms, rel=0.05)


def test_no_plan_keeps_anything_busier_than_it_may_be(sizing: Any) -> None:
    for rate in (*sizing.RATES, 7, 123_456):
        for way in (sizing.REPLICAS, sizing.RAY):
            plan = sizing.plan(way, rate)
            assert rate * way.replica_ms / 1e3 <= sizing.BUSY * plan.replicas
            assert rate * way.gate_ms / 1e3 <= sizing.BUSY * plan.gates
