"""An evaluation that ends while its database is away is not lost: its end is recorded when that is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import event

from server.database import outlast
from server.datasets import Dataset
from server.errors import DiskFull
from server.evaluation import Evaluations, EvaluationState
from server.models import ModelVersion

PATIENCE_S = 60.0


class Network:
    """What lies between: `cut` times a statement does not come through."""

    def __init__(self, cut: int) -> None:
        self.cut = cut

    def pass_on(self) -> str:
        if self.cut:
            self.cut -= 1
            raise psycopg.OperationalError("connection refused")
        return "done"


def never(seconds: float) -> bool:
    """Waits no time, and is wanted on."""
    return False


def test_what_a_database_that_is_away_interrupts_is_done_again() -> None:
    network = Network(cut=3)
    assert outlast(network.pass_on, never) == "done"
    assert network.cut == 0


def test_what_nobody_wants_any_more_is_not_done_again() -> None:
    network = Network(cut=3)
    with pytest.raises(psycopg.OperationalError):
        outlast(network.pass_on, lambda seconds: True)
    assert network.cut == 2


@pytest.mark.parametrize("error", [DiskFull(), ValueError("a bug"), psycopg.errors.UniqueViolation("twice")])
def test_any_other_error_is_raised_at_once(error: Exception) -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise error

    with pytest.raises(type(error)):
        outlast(fail, never)
    assert tries == [1]


def test_the_end_of_an_evaluation_is_recorded_when_the_database_is_back(
    open_evaluations: Callable[..., Evaluations], database: Database, version: ModelVersion
) -> None:
    evaluations, network = open_evaluations(), Network(cut=2)

    def execute(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE evaluations"):
            network.pass_on()

    event.listen(database, "before_cursor_execute", execute)
    started = evaluations.start(version.version, Dataset.BUILTIN_TEST)
    deadline = time.monotonic() + PATIENCE_S
    while (now := evaluations.get(started.evaluation_id)).state is EvaluationState.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (now.state, network.cut) == (EvaluationState.SUCCEEDED, 0)
