"""What the tests of a whole cluster share; the cluster itself is that of every suite (`live_cluster`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE_S = 120.0


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """`until(condition, what)` waits for a condition that is true at last, and gives what it gave."""

    def wait(condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, what
            time.sleep(0.05)
        return found

    return wait
