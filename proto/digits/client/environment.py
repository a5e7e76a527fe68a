"""What the environment tells a client: where the server is, and what it takes to talk to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from digits.client.tls import Tls

DEFAULT_ADDRESS = "127.0.0.1:50051"


@dataclass(frozen=True)
class Environment:
    """A server's address, host:port, and what it takes to talk to it."""

    address: str
    token: str = field(repr=False)
    tls: Tls | None

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Environment:
        """From DIGITS_SERVER, DIGITS_TOKEN_FILE or DIGITS_TOKEN, and the files that DIGITS_TLS_CA,
        DIGITS_TLS_CLIENT_CERT and DIGITS_TLS_CLIENT_KEY name. Raises OSError for a file that cannot be read.
        """
        path = variables.get("DIGITS_TOKEN_FILE")
        token = Path(path).read_text(errors="replace").strip() if path else variables.get("DIGITS_TOKEN", "")
        return cls(variables.get("DIGITS_SERVER") or DEFAULT_ADDRESS, token, Tls.from_environment(variables))
