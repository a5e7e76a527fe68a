"""MNIST for these tests: the real one with DIGITS_MNIST, else a stand-in around the built-in digits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from server.datasets import Data, Digits
from server.datasets.builtin import read_builtin
from server.datasets.mnist import Mnist, read_mnist
from server.datasets.prepare import Checksums, prepare
from server.datasets.source import content_sha256


@dataclass(frozen=True, eq=False)
class MnistFile:
    """An npz in the layout of Keras, what is in it, and the checksums that it is expected to have."""

    path: Path
    content: Mnist
    checksums: Checksums


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> MnistFile:
    """MNIST, or a stand-in of its sizes: the built-in digits lie scattered among other training images."""
    given = os.environ.get("DIGITS_MNIST")
    if given:
        path, content = Path(given).resolve(), read_mnist(Path(given))
    else:
        content = stand_in(read_builtin())
        path = tmp_path_factory.mktemp("mnist") / "mnist.npz"
        write_npz(path, content)
    checksums = Checksums(
        hashlib.sha256(path.read_bytes()).hexdigest(), content_sha256(content.train, content.test)
    )
    return MnistFile(path, content, checksums)


def stand_in(builtin: Digits) -> Mnist:
    """60,000 training and 10,000 test images, no two the same; the built-in digits are among the former."""
    others = np.tile(builtin.images, (13, 1, 1))  # (65000, 28, 28)
    # MNIST's corners are empty: a number in one makes each image another one.
    others[:, 0, 0] = 1 + np.arange(len(others)) // 256
    others[:, 0, 1] = np.arange(len(others)) % 256
    labels = np.tile(builtin.labels, 13)
    places = np.random.default_rng(0).permutation(60_000)
    images = np.concatenate([builtin.images, others[:55_000]])[places]
    train = Digits(images, np.concatenate([builtin.labels, labels[:55_000]])[places])
    return Mnist(train, Digits(others[55_000:], labels[55_000:]))


def write_npz(path: Path, content: Mnist, **changes: NDArray[np.generic] | None) -> None:
    """Write an npz as Keras' is, with some arrays exchanged, or left out where None."""
    arrays: dict[str, NDArray[np.generic] | None] = {
        "x_train": content.train.images,
        "y_train": content.train.labels,
        "x_test": content.test.images,
        "y_test": content.test.labels,
        **changes,
    }
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.fixture(scope="session")
def npz() -> Callable[..., None]:
    """`npz(path, content, **changes)` writes MNIST with some arrays exchanged."""
    return write_npz


@pytest.fixture(scope="session")
def full_root(mnist: MnistFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where all of MNIST is prepared. Not to be written in: others read it too."""
    root = tmp_path_factory.mktemp("full")
    prepare(root, mnist.path, "", lambda step, message: None, mnist.checksums)
    return root


@pytest.fixture(scope="session")
def full_data(full_root: Path) -> Data:
    """All of MNIST."""
    return Data.open(full_root)


class FileServer:
    """Serves one file on 127.0.0.1, in the way that `behaviour` says, and remembers what it was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.behaviour = "well"  # or "interrupted", "stalled", "missing", "endless"
        self.ranges: list[str | None] = []
        self.end = Event()
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/mnist.npz"

    def close(self) -> None:
        self.end.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that hang up: some tests are about that."""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, file: FileServer, *arguments: object) -> None:
        self._file = file
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self._file.ranges.append(wanted)
        if self._file.behaviour == "missing":
            self.send_error(404, "Not Found")
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        content = self._file.content[start:]
        if wanted and not content:
            self.send_error(416, "Range Not Satisfiable")
            return
        self.send_response(206 if wanted else 200)
        if self._file.behaviour == "endless":
            self.end_headers()
            while not self._file.end.is_set():
                self.wfile.write(bytes(2**20))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self._file.behaviour == "well":
            self.wfile.write(content)
            return
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        if self._file.behaviour == "stalled":
            self._file.end.wait(30)

    def log_message(self, form: str, *arguments: object) -> None:
        """Says nothing: the tests ask `ranges`."""


@pytest.fixture(scope="session")
def downloaded_root(mnist: MnistFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where MNIST was downloaded and prepared. Not to be written in."""
    root = tmp_path_factory.mktemp("downloaded")
    server = FileServer(mnist.path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        prepare(root, None, server.url, lambda step, message: None, mnist.checksums)
    server.close()
    return root


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], FileServer]]:
    """`serve(content)` starts a web server with one file."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers: list[FileServer] = []

    def start(content: bytes) -> FileServer:
        servers.append(FileServer(content))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
