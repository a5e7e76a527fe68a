"""A backup of a server at work: whatever was acknowledged before it began is in it, and it is whole."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
from digits.client import Client
from digits.client.choices import DeploymentAction
from digits.client.errors import ClientError
from digits.client.records import Sample

Run = Callable[..., "CompletedProcess[bytes]"]
BACKUPS = 3


def drawing(number: int) -> Any:
    """A (28, 28) uint8 image that no other number has."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 12:16] = 255
    pixels[2, :16] = [255 * (number >> bit & 1) for bit in range(16)]
    return pixels


class Writer:
    """Adds, relabels and deletes samples as fast as it can, and knows what was acknowledged."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._acknowledged: dict[str, int] = {}
        self._gone: set[str] = set()
        self.writes = 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write until the end of the block."""
        end = threading.Event()
        threads = [threading.Thread(target=self._write, args=(end, start)) for start in (0, 30_000)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            end.set()
            for thread in threads:
                thread.join()

    def acknowledged(self) -> dict[str, int]:
        """Id -> label of the samples that are kept, as far as it is known at this moment."""
        with self._lock:
            return dict(self._acknowledged)

    def touched_since(self, before: dict[str, int]) -> set[str]:
        """Those of `before` that were changed or deleted after that."""
        with self._lock:
            return {
                name for name, label in before.items() if self._acknowledged.get(name) != label
            } | self._gone

    def _write(self, end: threading.Event, start: int) -> None:
        mine: list[str] = []
        with Client(self._address) as client:
            for number in range(start, start + 30_000):
                if end.is_set():
                    return
                added = client.add_sample_pixels(drawing(number), number % 10).sample
                self._note(added.sample_id, number % 10)
                mine.append(added.sample_id)
                if number % 3 == 0:
                    # What is under way when a backup begins may be in it or not.
                    self._forget(mine[0])
                    client.update_sample(mine[0], 7)
                    self._note(mine.pop(0), 7)
                elif number % 5 == 0:
                    self._forget(mine[0])
                    client.delete_sample(mine.pop(0))

    def _note(self, sample_id: str, label: int) -> None:
        with self._lock:
            self._acknowledged[sample_id] = label
            self.writes += 1

    def _forget(self, sample_id: str) -> None:
        with self._lock:
            self._acknowledged.pop(sample_id, None)
            self._gone.add(sample_id)


def all_samples(client: Client) -> dict[str, Sample]:
    found: dict[str, Sample] = {}
    token = ""
    while True:
        page = client.list_samples(page_size=1000, page_token=token)
        found |= {sample.sample_id: sample for sample in page.samples}
        if not (token := page.next_page_token):
            return found


def test_whatever_was_acknowledged_before_a_backup_began_is_in_the_restored_folder(
    launch_server: Callable[..., Any], add_version: Callable[..., int], run: Run, tmp_path: Path
) -> None:
    server = launch_server()
    writer = Writer(server.address)
    taken: list[tuple[dict[str, int], set[str], int, bytes]] = []
    with Client(server.address) as client, writer.writing():
        for _ in range(BACKUPS):
            before = writer.writes
            deployed = add_version(server)
            client.deploy_model(deployed)
            while writer.writes < before + 40:
                pass
            acknowledged = writer.acknowledged()
            backup = run(server.data, "backup", "-")
            assert backup.returncode == 0, backup.stderr
            taken.append((acknowledged, writer.touched_since(acknowledged), deployed, backup.stdout))
            assert b"warning" not in backup.stderr
    server.stop()

    for number, (acknowledged, touched, deployed, archive) in enumerate(taken):
        folder = tmp_path / f"restored-{number}"
        assert run(folder, "restore", "-", stdin=archive).returncode == 0
        with closing(sqlite3.connect(folder / "digits.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        restored = launch_server(data=folder)
        with Client(restored.address) as client:
            samples = all_samples(client)
            models = {model.model_version: model for model in client.list_models().models}
            assert client.predict_pixels(drawing(1)).model_version == deployed
        lost = [name for name in acknowledged if name not in samples and name not in touched]
        changed = [
            name
            for name, label in acknowledged.items()
            if name in samples and samples[name].label != label and name not in touched
        ]
        assert (lost, changed) == ([], [])
        assert len(acknowledged) >= 10 * (number + 1)
        assert models[deployed].is_deployed
        assert sorted(models) == list(range(1, deployed + 1))
        assert "error" not in {event["level"] for event in restored.events()}
        restored.stop()


def test_versions_that_come_and_go_meanwhile_are_whole_or_not_there(
    launch_server: Callable[..., Any], add_version: Callable[..., int], run: Run, tmp_path: Path
) -> None:
    server = launch_server()
    end = threading.Event()
    faults: list[ClientError] = []

    def come_and_go() -> None:
        with Client(server.address) as client:
            while not end.is_set():
                number = add_version(server)
                try:
                    client.deploy_model(number)
                    if number > 2:
                        client.delete_model(number - 1)
                except ClientError as error:
                    faults.append(error)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    archives = []
    try:
        for _ in range(BACKUPS):
            backup = run(server.data, "backup", "-")
            assert backup.returncode == 0, backup.stderr
            assert b"warning" not in backup.stderr
            archives.append(backup.stdout)
    finally:
        end.set()
        thread.join()
    assert faults == []
    server.stop()

    for number, archive in enumerate(archives):
        folder = tmp_path / f"restored-{number}"
        assert run(folder, "restore", "-", stdin=archive).returncode == 0
        restored = launch_server(data=folder)
        with Client(restored.address) as client:
            deployed = client.predict_pixels(drawing(1)).model_version
            history = client.list_deployments().deployments
        # What the record says was deployed last is what answers: nothing had to take its place.
        assert (
            next(one.model_version for one in history if one.action is not DeploymentAction.DELETED)
            == deployed
        )
        assert not [one for one in history if "could not be loaded" in one.cause]
        restored.stop()
