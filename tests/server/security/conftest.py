"""Certificates and token files, made on the spot, and servers that ask for them."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PREDICT_TOKEN = "predict-0123456789abcdef"
TRAIN_TOKEN = "train-0123456789abcdef00"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates with a key of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        certificate = _signed(self._name, self._name, self._key, self._key, is_authority=True)
        self.certificate = folder / "ca.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Pair:
        """A certificate for localhost and 127.0.0.1, for servers and clients alike."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(_name(name), self._name, key, self._key, is_authority=False)
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_secret(
            pair.key,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        return pair


def write_secret(path: Path, content: bytes) -> Path:
    """A file that nobody else can read."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signing_key: ec.EllipticCurvePrivateKey,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signing_key, hashes.SHA256())
    )


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
