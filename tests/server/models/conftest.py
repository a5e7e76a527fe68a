"""Places where versions are shared: a folder, and a bucket of a real S3 server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_s3 import LiveS3, SpoilingS3

from server.models import ModelStore, SharedArtifacts

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[LiveS3]:
    """The S3 server of all tests; whoever stops it takes `s3`."""
    server = LiveS3()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: LiveS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveS3]:
    """The same, with its settings in this test's environment; afterwards it answers again."""
    for name, value in s3_server.settings.items():
        monkeypatch.setenv(name, value)
    yield s3_server
    s3_server.stop()
    s3_server.start()


@pytest.fixture
def s3_url(s3: LiveS3) -> str:
    """A place of its own in a bucket of its own."""
    bucket = f"digits-{next(_NUMBERS)}"
    s3.make_bucket(bucket)
    return f"s3://{bucket}/lab/versions"


@pytest.fixture
def spoiling(s3: LiveS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpoilingS3]:
    """The way to S3 of whoever begins to use it from here on: answers can be spoilt on it."""
    with SpoilingS3(s3.endpoint) as spoiling:
        monkeypatch.setenv("AWS_ENDPOINT_URL", spoiling.endpoint)
        yield spoiling


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of its own, of either kind."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_url"))
    folder = tmp_path / "a shared folder"
    folder.mkdir()
    return f"file://{str(folder).replace(' ', '%20')}"


@pytest.fixture
def shared(url: str) -> SharedArtifacts:
    """The shared artifacts there, empty."""
    return SharedArtifacts(url)


@pytest.fixture
def make_folder(tmp_path: Path, complete: Callable[..., Path], regression: Any) -> Callable[..., Path]:
    """`make_folder(**provenance)`: a whole version folder."""
    numbers = itertools.count(1)

    def make(**provenance: Any) -> Path:
        folder = tmp_path / "made" / str(next(numbers))
        folder.mkdir(parents=True)
        return complete(folder, regression, **provenance)

    return make


@pytest.fixture
def open_owner(tmp_path: Path) -> Iterator[Callable[..., ModelStore]]:
    """`open_owner(name, url)`: the store of a server with a disk of this name, started as a server does."""
    stores: list[ModelStore] = []

    def start(name: str, url: str | None) -> ModelStore:
        store = ModelStore(tmp_path / name / "models", shared=None if url is None else SharedArtifacts(url))
        stores.append(store)
        store.catch_up()
        store.clean_staging()
        return store

    yield start
    for store in stores:
        store.close()
