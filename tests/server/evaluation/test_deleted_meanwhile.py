"""Versions that are deleted just while something is written about them: nothing is left of them."""

from __future__ import annotations

from typing import Any

import pytest
from live_postgres import on_both
from sqlalchemy import Engine as Database
from sqlalchemy import event, func, select

from server.database import evaluations as table
from server.datasets import Dataset
from server.errors import ModelNotFound
from server.evaluation import Evaluations
from server.models import ModelStore, ModelVersion

pytestmark = on_both


@pytest.fixture
def deleted_just_before_the_row(
    database: Database, store: ModelStore, evaluations: Evaluations, version: ModelVersion
) -> None:
    """The version is deleted, with all that is known of it, in the moment before its row is written."""

    def delete(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO evaluations") and store.list():
            store.delete(version.version)
            evaluations.forget({version.version})

    event.listen(database, "before_cursor_execute", delete)


def rows(database: Database) -> int:
    with database.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.mark.usefixtures("deleted_just_before_the_row")
def test_the_evaluation_of_its_training_is_not_left_behind(
    evaluations: Evaluations, version: ModelVersion, database: Database
) -> None:
    with pytest.raises(ModelNotFound):
        evaluations.adopt(version)
    assert rows(database) == 0


@pytest.mark.usefixtures("deleted_just_before_the_row")
def test_an_evaluation_that_was_asked_for_is_not_left_behind(
    evaluations: Evaluations, version: ModelVersion, database: Database
) -> None:
    with pytest.raises(ModelNotFound):
        evaluations.start(version.version, Dataset.BUILTIN_TEST)
    assert rows(database) == 0
