"""A disk that is full, or that turns read-only, under a server at work; and then is mended."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

from digits.client.choices import ExportFormat, TrainingState
from digits.client.errors import ClientError
from digits.client.records import TrainingOptions
from torture_disk_lab import Lab
from torture_disk_places import LimitedPlace, LoopPlace, Place, read_only
from torture_parts import PATIENCE_S, TortureServer, say, wait_until

SMALL_MIB = 64


def fill_up(lab: Lab, place: Place, what: str, leave: int | None = 0) -> int:
    """Fill the disk under a server at work, make room again, and hold it to what it said. Gives the losses.

    `leave`: bytes of room that are left; None for all of them, but not for one more file.
    """
    lab.begin()
    with lab.client() as client:
        if leave is None:
            place.crowd()
        else:
            place.fill(lab.server.pid, leave)
        ended = lab.try_writes(client, what, times=60)
        lab.expect(ended["DISK_FULL"] > 0, f"{what}: nothing was refused as DISK_FULL: {dict(ended)}")
        lab.try_reads(client, what)
        watch_runs(lab, what)
        if not isinstance(place, LimitedPlace):
            lab.run_command("backup", str(lab.server.log.with_name("backup.tar.gz")))
        place.make_room(lab.server.pid)
        # The first that comes works again: nobody has to start anything anew.
        after = lab.try_writes(client, f"{what}, with room again")
        lab.expect(set(after) == {"OK"}, f"{what}: with room again: {dict(after)}")
        lab.end_runs(client)
        lab.known.note(client)
    lost = lab.look_for_losses(what)
    lab.server.kill()
    lab.start()
    lost += lab.look_for_losses(f"{what}, after a restart")
    lab.look_for_bugs(what)
    say(f"{what}: {dict(ended)}")
    return lost


def convert_full(lab: Lab, place: Place, what: str) -> int:
    """Have a version converted without room for what comes of it, at first or later, and then with room."""
    lab.begin()
    with lab.client() as client:
        for leave in (0, 200_000):
            place.fill(lab.server.pid, leave)
            try:
                client.export_model(ExportFormat.TFLITE)
                lab.findings.append(f"{what}: converted with {leave} bytes of room")
            except ClientError as error:
                lab.expect(error.reason == "DISK_FULL", f"{what}, {leave} bytes of room: {error!r}")
            place.make_room(lab.server.pid)
        lab.expect(client.export_model(ExportFormat.TFLITE), f"{what}: not converted with room again")
    lab.look_for_bugs(what)
    return lab.look_for_losses(what)


def turn_read_only(lab: Lab, place: LoopPlace, what: str) -> int:
    """Have the disk turn read-only under a server at work, mend it, and start anew."""
    lab.begin()
    with lab.client() as client:
        place.turn_read_only()
        ended = lab.try_writes(client, what, times=20)
        lab.expect(
            ended["DISK_READ_ONLY"] > 0, f"{what}: nothing was refused as DISK_READ_ONLY: {dict(ended)}"
        )
        lab.try_reads(client, what)
        watch_runs(lab, what)
    lab.server.kill()
    lab.look_for_bugs(what)
    lab.refused_start(what, "expected a folder that can be written")
    place.mend()
    lab.start()
    with lab.client() as client:
        after = lab.try_writes(client, f"{what}, mended")
        lab.expect(set(after) == {"OK"}, f"{what}: mended: {dict(after)}")
        lab.end_runs(client)
    lost = lab.look_for_losses(f"{what}, mended")
    say(f"{what}: {dict(ended)}")
    return lost


def watch_runs(lab: Lab, what: str) -> None:
    """A run that cannot save ends as failed, with a sentence that names the disk."""
    with lab.client() as client:
        for run in lab.known.runs:
            ended = wait_until(
                lambda run=run: client.get_training(run) if client.get_training(run).state.is_final else None,
                f"{what}: the run {run} has ended",
                PATIENCE_S,
            )
            is_told = any(word in ended.failure_reason for word in ("disk", "data folder"))
            lab.expect(
                ended.state is TrainingState.FAILED and is_told,
                f"{what}: the run ended as {ended.state.name}: {ended.failure_reason}",
            )


def fill_while_training(lab: Lab, place: Place, what: str) -> int:
    """Fill the disk while a run trains: it fails in words, which are kept once there is room."""
    lab.begin(samples=3)
    with lab.client() as client:
        run = client.start_training("classic", TrainingOptions(epochs=200, batch_size=32)).training_id
        lab.known.runs.add(run)
        wait_until(lambda: client.get_training(run).history, f"{what}: an epoch is over")
        place.fill(lab.server.pid)
        watch_runs(lab, what)
        said = client.get_training(run).failure_reason
        place.make_room(lab.server.pid)

    def is_kept() -> bool:
        with closing(sqlite3.connect(lab.data / "digits.db")) as connection:
            row = connection.execute("SELECT failure_reason FROM trainings WHERE id = ?", (run,)).fetchone()
        return bool(row[0] == said)

    wait_until(is_kept, f"{what}: how it ended is kept")
    lab.server.kill()
    lab.start()
    with lab.client() as client:
        now = client.get_training(run)
    lab.expect(now.state is TrainingState.FAILED, f"{what}: after a restart it is {now.state.name}")
    return lab.look_for_losses(what)


def start_full(lab: Lab, place: Place, what: str) -> int:
    """Start on a full disk: refused with a sentence, or served; with room it starts, and has everything."""
    lab.begin(samples=5)
    lab.server.stop()
    place.fill(lab.server.pid)
    environment = os.environ | {"DIGITS_DATA": str(lab.data), "DIGITS_PORT": "0", "DIGITS_MNIST_URL": ""}
    log = lab.server.log.with_name("full.log")
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "server"], env=environment, stderr=stderr)
        try:
            wait_until(
                lambda: process.poll() is not None or b'"serving"' in log.read_bytes(), f"{what}: an outcome"
            )
        finally:
            process.kill()
            code = process.wait()
    said = log.read_text()
    lab.expect("Traceback" not in said, f"{what}: a traceback: {said[-1500:]}")
    if '"serving"' not in said:
        lab.expect(code == 2 and "full" in said, f"{what}: exit code {code}: {said[-500:]}")
    place.make_room(lab.server.pid)
    lab.start()
    return lab.look_for_losses(what)


def start_read_only(lab: Lab, place: Place, what: str) -> int:
    """Start on a disk that cannot be written: refused; a replica serves from it."""
    lab.begin(samples=5)
    lab.server.stop()
    with read_only(lab.data):
        lab.refused_start(what, "expected a folder that can be written", "replicas (--read-only) only read")
        replica = TortureServer(lab.server.log.parent, "--read-only", data=lab.data)
        try:
            replica.start()
        finally:
            replica.close()
    lab.start()
    return lab.look_for_losses(what)
