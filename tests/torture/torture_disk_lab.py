"""What the disk's torture has a server do: all that writes and all that reads; and what is known of it."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from digits.client import Client
from digits.client.choices import Dataset, ExportFormat
from digits.client.errors import ClientError
from digits.client.records import TrainingOptions
from torture_parts import PATIENCE_S, TortureServer, wait_until

from server.models.version import CHECKSUM, description_checksum

# What a write may be refused with when the disk does not take it; everything else is a bug.
REFUSALS = ("DISK_FULL", "DISK_READ_ONLY", "DISK_FAILING")


def drawing(number: int) -> npt.NDArray[np.uint8]:
    """(28, 28) uint8: a one that no other number has."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 12:16] = 255
    pixels[2, :16] = [255 * (number >> bit & 1) for bit in range(16)]
    return pixels


def archive(first: int, count: int) -> bytes:
    """An archive of samples, as ImportSamples takes it."""
    file, arrays = io.BytesIO(), io.BytesIO()
    ids = [f"sample{number}" for number in range(first, first + count)]
    images = [drawing(number) for number in range(first, first + count)]
    np.savez_compressed(
        arrays, sample_id=np.array(ids), pixels=np.stack(images), label=np.ones(count, np.uint8)
    )
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("samples.npz", arrays.getvalue())
        for sample_id, image in zip(ids, images, strict=True):
            packed.writestr(f"drawings/{sample_id}.png", cv2.imencode(".png", image)[1].tobytes())
    return file.getvalue()


class Known:
    """What a server has acknowledged, and is held to."""

    def __init__(self) -> None:
        self.samples: dict[str, int] = {}
        self.versions: dict[int, str] = {}
        self.runs: set[str] = set()
        self.deployments: dict[int, tuple[int, str]] = {}
        self.acknowledged = 0

    def note(self, client: Client) -> None:
        """Take down versions, deployments and runs as they are told."""
        self.versions |= {one.model_version: one.artifact_sha256 for one in client.list_models(100).models}
        self.runs |= {one.training_id for one in client.list_trainings().trainings}
        for one in client.list_deployments(100).deployments:
            self.deployments[one.number] = (one.model_version, one.action.name)

    def lost(self, client: Client, without: set[int] | None = None) -> list[str]:
        """What is not told any more, or otherwise; `without` the versions whose files were spoilt."""
        samples: dict[str, int] = {}
        token = ""
        while True:
            page = client.list_samples(page_size=1000, page_token=token)
            samples |= {one.sample_id: one.label for one in page.samples}
            if not (token := page.next_page_token):
                break
        now = Known()
        now.note(client)
        expected = {number: sha for number, sha in self.versions.items() if number not in (without or set())}
        return [
            *_missing("sample", self.samples, samples),
            *_missing("version", expected, now.versions),
            *_missing("deployment", self.deployments, now.deployments),
            *(f"run {run} is not there" for run in sorted(self.runs - now.runs)),
        ]


def _missing(kind: str, expected: dict[Any, Any], found: dict[Any, Any]) -> list[str]:
    return [
        f"{kind} {name}: expected {value!r}, got {found.get(name)!r}"
        for name, value in expected.items()
        if found.get(name) != value
    ]


class Lab:
    """One server, what it knows, and what was found."""

    def __init__(self, folder: Path, data: Path | None = None, **settings: str) -> None:
        self.server = TortureServer(folder, data=data, **settings)
        self.known = Known()
        self.findings: list[str] = []
        self.told: Counter[str] = Counter()
        self._next = 0

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.server.data

    def start(self) -> None:
        """Start it; it serves when this returns."""
        self.server.start()

    def client(self) -> Client:
        """A new client of it."""
        return Client(self.server.address)

    def begin(self, versions: int = 2, samples: int = 20) -> None:
        """Start it, and give it something to lose."""
        self.start()
        for _ in range(versions - 1):
            self.add_version()
        with self.client() as client:
            self.wait_for_digits(client)
            for _ in range(samples):
                self.add_sample(client)
            if versions > 1:
                client.deploy_model(versions)
            self.known.note(client)

    def wait_for_digits(self, client: Client) -> None:
        """Wait until they are prepared, as after a start on a folder without them."""
        wait_until(lambda: client.list_recipes().data_source is not None, "the digits are prepared")

    def end_runs(self, client: Client) -> None:
        """They are there to be kept, not to train."""
        for run in self.known.runs:
            try:
                client.cancel_training(run)
            except ClientError as error:
                if error.reason != "TRAINING_FINISHED":
                    raise

    def run_command(self, *arguments: str) -> None:
        """Run `python -m server backup` or `restore` on its data."""
        ended = subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            env=os.environ | {"DIGITS_DATA": str(self.data)},
            capture_output=True,
            timeout=PATIENCE_S,
        )
        said = ended.stderr.decode()
        self.expect(ended.returncode == 0, f"{arguments[0]}: exit code {ended.returncode}: {said}")

    def add_version(self) -> None:
        """Lay another version beside the first one, as a run would have."""
        models = self.data / "models"
        number = 1 + max(int(path.name) for path in models.iterdir() if path.name.isdigit())
        staging = models / ".staging" / f"lab{number}"
        shutil.copytree(models / "000001", staging)
        values = json.loads((staging / "version.json").read_text())
        values.pop(CHECKSUM)
        values["training_id"] = f"lab{number}"
        (staging / "version.json").write_text(json.dumps({**values, CHECKSUM: description_checksum(values)}))
        # As a run does: nothing of it is only in memory when the disk is spoilt.
        os.sync()
        staging.rename(models / f"{number:06d}")

    def add_sample(self, client: Client) -> None:
        """Have a sample kept."""
        self._next += 1
        added = client.add_sample_pixels(drawing(self._next), self._next % 10).sample
        self.known.samples[added.sample_id] = added.label
        self.known.acknowledged += 1

    def writes(self, client: Client) -> dict[str, Callable[[], object]]:
        """Everything that asks the server to keep something; what it acknowledges is noted."""
        known, some = self.known, next(iter(self.known.samples))

        def relabel() -> None:
            known.samples[some] = client.update_sample(some, 9 - known.samples[some]).label

        def import_some() -> None:
            self._next += 40
            before = {one.sample_id for one in client.list_samples(page_size=1000).samples}
            client.import_samples(archive(self._next - 40, 40))
            known.samples |= {
                one.sample_id: one.label
                for one in client.list_samples(page_size=1000).samples
                if one.sample_id not in before
            }

        def deploy() -> None:
            deployed = client.get_model().model_version
            client.deploy_model(1 if deployed != 1 else 2)

        def start() -> None:
            known.runs.add(client.start_training("classic", TrainingOptions(epochs=1)).training_id)

        return {
            "AddSample": lambda: self.add_sample(client),
            "UpdateSample": relabel,
            "ImportSamples": import_some,
            "DeployModel": deploy,
            "MarkMislabelled": lambda: client.mark_mislabelled(Dataset.BUILTIN_TEST, 3),
            "Evaluate": lambda: client.evaluate(Dataset.BUILTIN_TEST, 1),
            "StartTraining": start,
        }

    def reads(self, client: Client) -> dict[str, Callable[[], object]]:
        """Everything that only asks."""
        return {
            "Predict": lambda: client.predict_pixels(drawing(1)),
            "ListSamples": lambda: client.list_samples(with_drawings=True),
            "ListModels": client.list_models,
            "GetModel": client.get_model,
            "ListDeployments": client.list_deployments,
            "ListTrainings": client.list_trainings,
            "ListTestDigits": lambda: client.list_test_digits(Dataset.BUILTIN_TEST),
            "ExportModel": lambda: client.export_model(ExportFormat.ONNX),
        }

    def try_writes(self, client: Client, what: str, times: int = 1) -> Counter[str]:
        """Try every write; how they ended, by reason, "OK" for those that were acknowledged."""
        ended: Counter[str] = Counter()
        for name, write in self.writes(client).items():
            for _ in range(times if name == "AddSample" else 1):
                try:
                    write()
                    ended["OK"] += 1
                except ClientError as error:
                    ended[error.reason or error.code] += 1
                    if error.reason not in REFUSALS:
                        self.findings.append(f"{what}: {name} ended as {error.code} {error.reason}: {error}")
        self.known.note(client)
        self.told += ended
        return ended

    def try_reads(self, client: Client, what: str) -> None:
        """Try every read: each has to be answered."""
        for name, read in self.reads(client).items():
            try:
                read()
            except ClientError as error:
                self.findings.append(f"{what}: {name} ended as {error.code} {error.reason}: {error}")

    def expect(self, is_so: object, what: str) -> None:
        """Note it as a finding unless it is so."""
        if not is_so:
            self.findings.append(what)

    def look_for_bugs(self, what: str, start: int = 0) -> None:
        """Whatever the server's log tells of bugs, from byte `start` on."""
        for event in self.server.events(start):
            if event["event"] == "bug" or "traceback" in event:
                self.findings.append(f"{what}: {event.get('traceback', event)}")

    def look_for_losses(self, what: str, without: set[int] | None = None) -> int:
        """How much of what is known is not there; the database has to be whole, too."""
        with self.client() as client:
            lost = self.known.lost(client, without)
        with closing(sqlite3.connect(self.data / "digits.db")) as connection:
            whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
        self.expect(whole == "ok", f"{what}: the database: {whole}")
        self.findings += [f"{what}: {one}" for one in lost]
        return len(lost)

    def refused_start(self, what: str, *said: str) -> None:
        """Have the server not start, with exit code 2 and one sentence in which all of this is said."""
        environment = os.environ | {
            "DIGITS_DATA": str(self.data),
            "DIGITS_PORT": "0",
            "DIGITS_MNIST_URL": "",
        }
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "server"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            self.findings.append(f"{what}: the server started")
            return
        words = [line for line in ended.stderr.splitlines() if line.startswith("digits: ")]
        self.expect(ended.returncode == 2, f"{what}: exit code {ended.returncode}: {ended.stderr[-500:]}")
        self.expect("Traceback" not in ended.stderr, f"{what}: a traceback: {ended.stderr[-1500:]}")
        for word in said:
            self.expect(any(word in line for line in words), f"{what}: {word!r} is not said: {words}")
