"""What guards the server's ports: a certificate, and tokens with roles. Read from files, once, at start.

Nothing here keeps a token: what a caller shows is compared by its SHA-256. Nor is a secret part of a message.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

# 128 bits as hexadecimal digits take 32 characters; what is shorter than half of that was made by hand.
MIN_TOKEN = 16
TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{MIN_TOKEN},512}}")
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
    """The tokens that are let in, as digests."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        """`roles` by token."""
        self._roles = tuple((_digest(token), role) for token, role in roles.items())

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
    return Tokens(roles)


def read_tls(certificate: Path, key: Path, client_ca: Path | None) -> Tls:
    """A certificate chain, its key, and the authorities of clients. Raises BadFile."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_pem, key_pem = _read(certificate), _read_secret(key)
    try:
        # An encrypted key would ask a terminal for its password otherwise.
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError):
        raise BadFile(
            f"expected a PEM certificate and its own, unencrypted PEM key, got {str(certificate)!r} and "
            f"{str(key)!r}, which do not belong together or are neither"
        ) from None
    client_ca_pem = None
    if client_ca is not None:
        client_ca_pem = _read(client_ca)
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError:
            raise BadFile(f"expected PEM certificates of authorities, got {str(client_ca)!r}") from None
    return Tls(certificate, key, client_ca, certificate_pem, key_pem, client_ca_pem)


def _no_password() -> str:
    return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadFile(f"expected a file that can be read, got {str(path)!r} ({error.strerror})") from None


def _read_secret(path: Path) -> bytes:
    """The bytes of a file that is nobody else's to read. Raises BadFile."""
    content = _read(path)
    if path.stat().st_mode & 0o004:
        raise BadFile(f"expected a file that others cannot read, got {str(path)!r}; chmod o-rwx closes it")
    return content
