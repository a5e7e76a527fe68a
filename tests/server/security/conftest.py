"""Certificates and token files, made on the spot, and servers that ask for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from live_authority import Authority, Pair, write_secret

PREDICT_TOKEN = "predict-0123456789abcdef"
TRAIN_TOKEN = "train-0123456789abcdef00"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that server and clients trust."""
    return Authority(tmp_path_factory.mktemp("authority") / "ours", "Ours")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody here trusts."""
    return Authority(tmp_path_factory.mktemp("stranger") / "theirs", "Theirs")


@pytest.fixture(scope="session")
def server_pair(authority: Authority) -> Pair:
    """The server's certificate."""
    return authority.issue("server")


@pytest.fixture(scope="session")
def client_pair(authority: Authority) -> Pair:
    """A client's certificate."""
    return authority.issue("client")


@pytest.fixture(scope="session")
def tokens_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one token of each role."""
    lines = f"# who may do what\npredict {PREDICT_TOKEN}  # the till\n\ntrain {TRAIN_TOKEN}\n"
    return write_secret(tmp_path_factory.mktemp("tokens") / "tokens", lines.encode())


@pytest.fixture(scope="session")
def tokens() -> dict[str, str]:
    """The tokens of that file by role."""
    return {"predict": PREDICT_TOKEN, "train": TRAIN_TOKEN}


@pytest.fixture(scope="session")
def secret_file() -> Callable[[Path, bytes], Path]:
    """`secret_file(path, content)` writes a file that nobody else can read."""
    return write_secret


@pytest.fixture(scope="session")
def tls_settings(server_pair: Pair) -> dict[str, str]:
    """What gives a server its certificate."""
    return {"DIGITS_TLS_CERT": str(server_pair.certificate), "DIGITS_TLS_KEY": str(server_pair.key)}


@pytest.fixture(scope="session")
def guarded(launch_server: Any, tokens_file: Path) -> Any:
    """A server that asks for tokens, on a plain port of the loopback."""
    return launch_server(DIGITS_MNIST="", DIGITS_TOKENS_FILE=str(tokens_file), DIGITS_METRICS_PORT="0")


@pytest.fixture
def guarded_channel(guarded: Any) -> Iterator[grpc.Channel]:
    """A channel to it."""
    with grpc.insecure_channel(guarded.address) as channel:
        yield channel


@pytest.fixture(scope="session")
def bare_environment() -> dict[str, str]:
    """This process's environment without any setting of the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DIGITS_")}
