"""Live parts that every suite may use: real server processes with data directories of their own; drawings."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from server.addresses import read_database_url
from server.database import open_database
from server.datasets import Data, Dataset
from server.gate import GateReport
from server.metrics import measure
from server.models import ModelStore, Provenance, write_version
from server.recipes import resolve
from server.training import TrainingRun, TrainingState
from server.training.table import TrainingTable

# Shared with programs that are no tests; imported by name, because there is no `__init__.py` under tests/.
sys.path.insert(0, str(Path(__file__).parent / "live"))
from live_cluster import LiveCluster, RayNodes
from live_postgres import LivePostgres
from live_server import LiveServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked with `on_both` of `live_postgres` once on each database."""
    databases = metafunc.definition.get_closest_marker("databases")
    if databases and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", databases.args, indirect=True)


@pytest.fixture(scope="session")
def launch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LiveServer]]:
    """Start servers: `launch_server(DIGITS_…="…")`; they end with the tests.

    `launch_server("--read-only", data=other.data)` starts a replica of another one.
    """
    servers: list[LiveServer] = []

    def launch(*arguments: str, data: Path | None = None, **settings: str) -> LiveServer:
        folder = tmp_path_factory.mktemp("server")
        server = LiveServer(data or folder / "data", folder / "data.log", *arguments, **settings)
        servers.append(server)
        server.start()
        return server

    yield launch
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def live_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    """The services on a Ray of two nodes: one for all tests, because it takes a quarter of a minute to start.

    Two predictors, tokens asked of everybody, versions 1 and 2 alike, a third one damaged; no run begins.
    """
    nodes = RayNodes(cpus=2)
    folder = tmp_path_factory.mktemp("cluster")
    cluster = None
    try:
        nodes.start()
        furnish(folder / "data")
        cluster = LiveCluster(
            nodes,
            folder / "data",
            folder / "cluster.log",
            DIGITS_MNIST="",
            DIGITS_METRICS_PORT="0",
            DIGITS_RAY_REPLICAS="2",
        )
        cluster.start()
        yield cluster
    finally:
        if cluster is not None and cluster.is_running:
            cluster.stop()
        nodes.close()


def furnish(data: Path) -> None:
    """Make a data folder that holds the shipped version a second time, and a third time damaged."""
    server = LiveServer(data, data.with_suffix(".log"), DIGITS_MNIST="")
    server.start()
    server.stop()
    for number in (2, 3):
        shutil.copytree(data / "models" / "000001", data / "models" / f"{number:06d}")
    (data / "models" / "000003" / "model.onnx").write_bytes(b"damaged")


@pytest.fixture(scope="session")
def live_server(launch_server: Callable[..., LiveServer]) -> LiveServer:
    """One server for all tests that only read from it, or add to it what disturbs nobody."""
    return launch_server()


@pytest.fixture(scope="session")
def add_version() -> Callable[..., int]:
    """`add_version(server, gate=…, base_version=1)` adds a version to a server, as a training would.

    It reads as the shipped one does; gives its number.
    """

    def add(server: LiveServer, gate: GateReport | None = None, **provenance: object) -> int:
        models = server.data / "models"
        number = 1 + max(int(path.name) for path in models.iterdir() if path.name.isdigit())
        staging = models / ".staging" / f"run{number}"
        shutil.copytree(models / "000001", staging)
        description = json.loads((staging / "version.json").read_text())
        # Of another content.
        description.pop("description_sha256", None)
        now = datetime.now(UTC)
        told = {"training_id": f"run{number}", "recipe": "cnn", "command": "", "created": now.isoformat()}
        (staging / "version.json").write_text(json.dumps({**description, **told, **provenance}))
        database = open_database(f"sqlite:///{server.data / 'digits.db'}")
        run = TrainingRun(
            training_id=f"run{number}",
            recipe="cnn",
            options=resolve("cnn", {}),
            state=TrainingState.SUCCEEDED,
            created=now,
            model_version=number,
            gate=gate,
        )
        TrainingTable(database).insert(run)
        database.dispose()
        staging.rename(models / f"{number:06d}")
        return number

    return add


@pytest.fixture(scope="session")
def postgres() -> Iterator[LivePostgres]:
    """A PostgreSQL server for all tests that ask for one; `postgres.database()` gives a new database."""
    server = LivePostgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """SQLite, unless the test is marked with `on_both` or `on_postgresql` of `live_postgres`."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str, tmp_path: Path) -> Iterator[str]:
    """Of an empty database for this test alone, as `open_database` takes it."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'digits.db'}"
        return
    # Only now: tests without it start no PostgreSQL.
    server: LivePostgres = request.getfixturevalue("postgres")
    with server.database() as url:
        yield read_database_url(url)


@pytest.fixture
def dead_address() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="session")
def seven_png() -> bytes:
    """A seven as the canvas gives it: dark on paper, 280x280 pixels."""
    image = Image.new("RGB", (280, 280), "#fdfbf5")
    ImageDraw.Draw(image).line([(80, 70), (200, 70), (130, 220)], fill="#1d2433", width=16, joint="curve")
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def two_sevens_png() -> bytes:
    """Two sevens beside each other on the wide sheet: dark on paper, 720x280 pixels."""
    image = Image.new("RGB", (720, 280), "#fdfbf5")
    for left in (100, 400):
        ImageDraw.Draw(image).line(
            [(left, 70), (left + 120, 70), (left + 50, 220)], fill="#1d2433", width=16, joint="curve"
        )
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def add_misreading_version() -> Callable[..., None]:
    """`add_misreading_version(server, range(250))` adds a version with known mistakes to a stopped server.

    It is the shipped model once more, with other answers on record: built-in test digits with these
    indices are read as the digit after their own, all others right. Each is surer than the one before it.
    """

    def add(server: LiveServer, wrong: Sequence[int]) -> None:
        store = ModelStore(server.data / "models")
        split = Data.open(server.data / "datasets").split(use_all=False)
        labels = split.test.labels.astype(int)
        rows = np.arange(len(labels))
        read = np.where(np.isin(rows, wrong), (labels + 1) % 10, labels)
        sure = np.linspace(0.55, 0.95, len(labels))
        probabilities = np.zeros((len(labels), 10), np.float32)
        probabilities[rows, labels] = 1 - sure
        probabilities[rows, read] += np.where(read == labels, 2 * sure - 1, sure)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        staging = store.staging(f"with-{len(wrong)}-mistakes")
        for name in ("model.onnx", "model.keras"):
            shutil.copy(server.data / "models" / "000001" / name, staging / name)
        shipped = store.get(1)
        provenance = {field.name: getattr(shipped, field.name) for field in fields(Provenance)} | {
            "train_partitions": split.train_partitions,
            "validation_partitions": split.validation_partitions,
            "test_dataset": Dataset.BUILTIN_TEST,
        }
        metrics = measure(probabilities, split.test.labels)
        write_version(staging, Provenance(**provenance), metrics, probabilities)
        store.commit(staging)

    return add
