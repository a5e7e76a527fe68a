"""What guards the server's ports: a certificate, and tokens with roles, from files that may be replaced.

Nothing here keeps a token: what a caller shows is compared by its SHA-256. Nor is a secret part of a message.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

# 128 bits as hexadecimal digits take 32 characters; what is shorter than half of that was made by hand.
MIN_TOKEN = 16
TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{MIN_TOKEN},512}}")
# Far beyond any list of tokens or authorities.
MAX_BYTES = 2**20
LINE = "`predict <token>` or `train <token>`"


class BadFile(Exception):
    """A file of certificates, keys or tokens cannot be used. The message says what was expected."""


class Role(IntEnum):
    """What the holder of a token may do. A higher role may do all that a lower one may."""

    PREDICT = 1
    """Predict, and read what is known of models, evaluations, recipes and data sets."""
    TRAIN = 2
    """Everything."""


class Tokens:
    """The tokens that are let in, as digests. May be used from any thread."""

    def __init__(self, roles: Mapping[str, Role], path: Path | None = None) -> None:
        """`roles` by token, out of the file at `path`."""
        self.path = path
        self._roles = tuple((_digest(token), role) for token, role in roles.items())

    def __len__(self) -> int:
        return len(self._roles)

    def become(self, others: Tokens) -> None:
        """Let in the other ones, and those only, from one call to the next."""
        self._roles = others._roles

    def role(self, token: str) -> Role | None:
        """The role of a token; None for one that is not known. Takes the same time for every token."""
        digest = _digest(token)
        found = None
        for known, role in self._roles:
            if hmac.compare_digest(known, digest):
                found = role
        return found


@dataclass(frozen=True)
class Tls:
    """PEM files: what the server shows, and whose clients it lets in."""

    certificate: Path
    key: Path
    client_ca: Path | None
    """Only clients with a certificate of these authorities are let in; None: any client."""
    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    client_ca_pem: bytes | None = field(repr=False)


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file with a role and a token a line; empty lines and `#` comments are passed over.

    Raises BadFile.
    """
    roles: dict[str, Role] = {}
    for number, line in enumerate(_read_secret(path).decode(errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or words[0] not in ("predict", "train"):
            raise BadFile(f"expected {LINE} in line {number} of {str(path)!r}")
        name, token = words
        if not TOKEN.fullmatch(token):
            raise BadFile(
                f"expected a token of {MIN_TOKEN} to 512 letters, digits and ._~+/=- in line {number} of "
                f"{str(path)!r}; `openssl rand -hex 32` makes a good one"
            )
        if token in roles:
            raise BadFile(
                f"expected every token once, got one of them again in line {number} of {str(path)!r}"
            )
        roles[token] = Role[name.upper()]
    if not roles:
        raise BadFile(f"expected lines of {LINE}, got none in {str(path)!r}")
    return Tokens(roles, path)


class Watched:
    """Files that may be replaced while the server runs."""

    def __init__(self, *paths: Path | None) -> None:
        self._paths = [path for path in paths if path is not None]
        self._seen = self._look()

    def have_changed(self) -> bool:
        """Whether they are others than when this was asked last. A file that is gone counts as another."""
        before, self._seen = self._seen, self._look()
        return before != self._seen

    def _look(self) -> list[tuple[int, ...]]:
        return [_identity(path) for path in self._paths]


def _identity(path: Path) -> tuple[int, ...]:
    """What tells a file from the one that took its place, also behind a link; empty for none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def read_tls(certificate: Path, key: Path, client_ca: Path | None) -> Tls:
    """A certificate chain, its key, and the authorities of clients. Raises BadFile."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_pem, key_pem = _read(certificate), _read_secret(key)
    try:
        # An encrypted key would ask a terminal for its password otherwise.
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError):  # ssl.SSLError is an OSError, and a file may be gone again by now.
        raise BadFile(
            f"expected a PEM certificate and its own, unencrypted PEM key, got {str(certificate)!r} and "
            f"{str(key)!r}, which do not belong together or are neither"
        ) from None
    client_ca_pem = None
    if client_ca is not None:
        client_ca_pem = _read(client_ca)
        try:
            context.load_verify_locations(client_ca)
        except OSError:
            raise BadFile(f"expected PEM certificates of authorities, got {str(client_ca)!r}") from None
    return Tls(certificate, key, client_ca, certificate_pem, key_pem, client_ca_pem)


def _no_password() -> str:
    return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _read(path: Path) -> bytes:
    return _read_with_mode(path)[0]


def _read_secret(path: Path) -> bytes:
    """The bytes of a file that is nobody else's to read. Raises BadFile."""
    content, mode = _read_with_mode(path)
    if mode & 0o004:
        raise BadFile(f"expected a file that others cannot read, got {str(path)!r}; chmod o-rwx closes it")
    return content


def _read_with_mode(path: Path) -> tuple[bytes, int]:
    """The bytes of a file, and who may read that very file. Raises BadFile."""
    try:
        with path.open("rb") as file:
            content, mode = file.read(MAX_BYTES + 1), os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise BadFile(f"expected a file that can be read, got {str(path)!r} ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise BadFile(f"expected a file of at most {MAX_BYTES >> 20} MiB, got a larger one: {str(path)!r}")
    return content, mode
