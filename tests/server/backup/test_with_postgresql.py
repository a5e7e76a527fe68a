"""Where the rows are on a PostgreSQL server, a backup is of the rest, and says so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live_postgres import on_postgresql

from server.database import open_database
from server.models import Deployments

pytestmark = on_postgresql


def command(data: Path, *arguments: str | Path, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", *map(str, arguments)],
        env=os.environ | {"DIGITS_DATA": str(data), "DIGITS_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def elsewhere(data: Path, archive: bytes, database_url: str) -> Path:
    """The same data folder without a database of its own; the first of its versions was deleted."""
    # After `archive`, which is of the folder with one.
    (data / "digits.db").unlink()
    database = open_database(database_url)
    record = Deployments(database)
    record.deploy(2, "a test")
    record.delete(1, "a test")
    database.dispose()
    return data


def test_a_backup_has_the_versions_that_the_database_speaks_of_and_tells_that_the_rows_are_not_in_it(
    elsewhere: Path, database_url: str, files_of: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    taken = command(elsewhere, "backup", tmp_path / "backup.tar.gz", url=database_url)
    assert taken.returncode == 0, taken.stderr
    assert "backed up: 1 model version, 0 samples, 0 training runs" in taken.stderr
    assert "the rows are in postgresql://127.0.0.1:" in taken.stderr
    assert "back that up by PostgreSQL's own tools, such as pg_dump" in taken.stderr
    assert "p%40ss" not in taken.stderr

    restored = command(tmp_path / "other", "restore", tmp_path / "backup.tar.gz", url=database_url)

    assert restored.returncode == 0, restored.stderr
    assert "restored: 1 model version; " in restored.stderr
    there = files_of(tmp_path / "other")
    assert sorted(there) == ["models/.last_number", "models/000002/model.onnx"]


def test_a_backup_is_only_restored_beside_its_own_kind_of_database(
    elsewhere: Path, database_url: str, archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / "own.tar.gz").write_bytes(archive)
    assert command(elsewhere, "backup", tmp_path / "elsewhere.tar.gz", url=database_url).returncode == 0

    without_rows = command(tmp_path / "new", "restore", tmp_path / "elsewhere.tar.gz", url="")
    with_rows = command(tmp_path / "new", "restore", tmp_path / "own.tar.gz", url=database_url)

    assert (without_rows.returncode, with_rows.returncode) == (2, 2)
    assert "expected the PostgreSQL database that belongs to this backup" in without_rows.stderr
    assert "expected none, because the backup holds its own digits.db" in with_rows.stderr
    assert not (tmp_path / "new" / "models").exists()


def test_a_database_that_no_server_of_this_release_has_opened_is_refused(
    data: Path, database_url: str, tmp_path: Path
) -> None:
    refused = command(data, "backup", tmp_path / "backup.tar.gz", url=database_url)
    assert refused.returncode == 2
    assert "expected the database of a server of this release" in refused.stderr
    assert not (tmp_path / "backup.tar.gz").exists()
