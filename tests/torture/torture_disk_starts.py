"""Starts that are out of the ordinary: on the data of an earlier release, on data that another server has."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from torture_disk_lab import Lab
from torture_parts import ROOT

OLD = ROOT / "tests" / "server" / "database"
SCHEMAS = ("first", "second", "third")


def start_on_old_data(lab: Lab, schema: str) -> tuple[int, int]:
    """Start on the data of an earlier release: everything is there, and so is a copy from before."""
    lab.begin(samples=0)
    with lab.client() as client:
        page = client.list_models()
    lab.server.stop()
    for path in lab.data.glob("digits.db*"):
        path.unlink()
    with closing(sqlite3.connect(lab.data / "digits.db")) as connection:
        connection.executescript((OLD / "schemas" / f"{schema}.sql").read_text())
        connection.executescript((OLD / "rows.sql").read_text())
    lab.known.deployments.clear()
    lab.known.runs = {"old-run"}
    lab.known.deployments |= {1: (2, "DEPLOYED"), 2: (1, "DEPLOYED")}
    lab.known.versions = {one.model_version: one.artifact_sha256 for one in page.models}
    lab.start()
    lost = lab.look_for_losses(f"the {schema} release")
    told = lab.server.event("database migrated")
    lab.expect(told is not None, f"the {schema} release: nothing was migrated")
    copy = Path(str(told["copy"])) if told else lab.data / "none"
    lab.expect(_runs(copy) == ["old-run"], f"the {schema} release: no copy of it is kept")
    # The way back: the copy in the place of the database.
    lab.server.stop()
    shutil.copyfile(copy, lab.data / "digits.db")
    lab.start()
    return 1, lost + lab.look_for_losses(f"the {schema} release, once more")


def start_twice(lab: Lab) -> tuple[int, int]:
    """Start a second server on the same data: refused, and told who has them; the first one serves on."""
    lab.begin()
    lab.refused_start("two servers", "is in use by the server", f"process {lab.server.pid} on ")
    with lab.client() as client:
        ended = lab.try_writes(client, "two servers")
        lab.expect(set(ended) == {"OK"}, f"two servers: {dict(ended)}")
        lab.end_runs(client)
    # However the first one ends, the next one starts.
    lab.server.kill()
    lab.start()
    return 1, lab.look_for_losses("two servers")


def start_on_newer_data(lab: Lab) -> tuple[int, int]:
    """Start on the data of a later release: refused, and not touched."""
    lab.begin(samples=3)
    lab.server.stop()
    _stamp(lab.data, "9876")
    before = (lab.data / "digits.db").read_bytes()
    lab.refused_start("a later release", "is of a newer release", "9876")
    lab.expect((lab.data / "digits.db").read_bytes() == before, "a later release: the database was changed")
    return 1, 0


def _stamp(data: Path, revision: str) -> None:
    with closing(sqlite3.connect(data / "digits.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()


def _runs(database: Path) -> list[str]:
    if not database.is_file():
        return []
    with closing(sqlite3.connect(database)) as connection:
        return [name for (name,) in connection.execute("SELECT id FROM trainings")]
