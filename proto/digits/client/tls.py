"""TLS as a client wants it: whom to believe, and how to show who it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True)
class Tls:
    """The files of an encrypted connection, all PEM.

    `ca`: the authority that signed the server's certificate; None: those that the machine knows.
    `certificate` and `key`: the client's own, for a server that asks for one; both or neither. `server_name`:
    the name in the server's certificate, where it is not the one in the address.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("expected a client's certificate and its key, got one of the two")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Tls | None:
        """What DIGITS_TLS_CA, DIGITS_TLS_CLIENT_CERT and DIGITS_TLS_CLIENT_KEY say; None: not encrypted."""
        names = ("DIGITS_TLS_CA", "DIGITS_TLS_CLIENT_CERT", "DIGITS_TLS_CLIENT_KEY")
        ca, certificate, key = (Path(environment[name]) if environment.get(name) else None for name in names)
        return cls(ca, certificate, key) if ca or certificate or key else None

    def credentials(self) -> grpc.ChannelCredentials:
        """The files as gRPC takes them. Raises OSError when one cannot be read."""
        ca, certificate, key = (
            None if path is None else path.read_bytes() for path in (self.ca, self.certificate, self.key)
        )
        return grpc.ssl_channel_credentials(ca, key, certificate)
