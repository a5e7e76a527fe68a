"""The server's settings, read once from the environment at start."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.addresses import BadUrl, read_artifacts_url, read_database_url
from server.credentials import BadFile, Tls, Tokens, read_tls, read_tokens

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"


class CannotStart(Exception):
    """The server does not start; the message is for whoever starts it: what is wrong, and what to do."""


class InvalidSetting(CannotStart):
    """A setting has a value that is not allowed. The message names the setting and the allowed values."""


@dataclass(frozen=True)
class Config:
    """Every setting of the server; the README's table tells the same in words."""

    host: str
    port: int
    data: Path
    mnist: Path | None
    mnist_url: str
    log_level: str
    shutdown_grace_s: float
    is_replica: bool
    shares_port: bool
    tls: Tls | None
    tokens: Tokens | None
    """Who may call; None: everybody."""
    metrics_port: int | None
    samples_mib: int
    """How much the drawings of the samples may take on the disk, in MiB."""
    # Its password stays out of what is printed of the settings.
    database_url: str | None = field(default=None, repr=False)
    """SQLAlchemy's URL of a PostgreSQL database; None: `digits.db` in the data folder, and in a replica."""
    artifacts_url: str | None = None
    """Where versions are shared between machines, `file:///…` or `s3://…`; None: in the data folder only."""

    @property
    def is_exposed(self) -> bool:
        """Whether others reach the port, and may call without a token or be overheard."""
        return not is_loopback(self.host) and (self.tls is None or self.tokens is None)

    @property
    def address(self) -> str:
        """`host:port`, IPv6 hosts in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_config(environment: Mapping[str, str], is_replica: bool = False) -> Config:
    """Read the settings from `environment`. Raises InvalidSetting for the first bad one."""
    mnist = environment.get("DIGITS_MNIST", "")
    shares_port = _choice(environment, "DIGITS_SHARE_PORT", "no", ("yes", "no")) == "yes"
    if shares_port and not is_replica:
        raise InvalidSetting(
            "DIGITS_SHARE_PORT: expected no, got 'yes': only replicas (--read-only) may share a port, "
            "since any of them can answer what comes"
        )
    host = _text(environment, "DIGITS_HOST", "127.0.0.1")
    tls, tokens = _tls(environment), _tokens(environment)
    is_trusted_network = _flag(environment, "DIGITS_INSECURE")
    if not (tls and tokens) and not is_loopback(host) and not is_trusted_network:
        raise InvalidSetting(
            f"DIGITS_HOST: expected this machine's own address, such as 127.0.0.1, got {host!r}, which "
            "others reach: that needs DIGITS_TLS_CERT, DIGITS_TLS_KEY and DIGITS_TOKENS_FILE; on a network "
            "that you trust, DIGITS_INSECURE=1 goes without"
        )
    return Config(
        host=host,
        port=int(_number(environment, "DIGITS_PORT", 50051, 0, 65535, whole=True)),
        data=read_data_folder(environment),
        mnist=_existing(mnist) if mnist else None,
        mnist_url=_url(environment.get("DIGITS_MNIST_URL", MNIST_URL)),
        log_level=_choice(environment, "DIGITS_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        shutdown_grace_s=_number(environment, "DIGITS_SHUTDOWN_GRACE_S", 10.0, 0.0, 300.0),
        is_replica=is_replica,
        shares_port=shares_port,
        tls=tls,
        tokens=tokens,
        metrics_port=_metrics_port(environment),
        samples_mib=int(_number(environment, "DIGITS_SAMPLES_MIB", 4096, 1, 2**30, whole=True)),
        # A replica opens no database, and need not be trusted with its password.
        database_url=None if is_replica else read_database(environment),
        artifacts_url=_address(environment, "DIGITS_ARTIFACTS_URL", read_artifacts_url),
    )


def read_data_folder(environment: Mapping[str, str]) -> Path:
    """DIGITS_DATA alone, for programs that need no other setting. Raises InvalidSetting."""
    return Path(_text(environment, "DIGITS_DATA", "data")).expanduser().absolute()


def read_database(environment: Mapping[str, str]) -> str | None:
    """DIGITS_DATABASE_URL alone, in SQLAlchemy's form; None when it is not set. Raises InvalidSetting."""
    return _address(environment, "DIGITS_DATABASE_URL", read_database_url)


def _text(environment: Mapping[str, str], name: str, default: str) -> str:
    value = environment.get(name, default).strip()
    if not value:
        raise InvalidSetting(
            f"{name}: expected a value, got an empty one; unset it for the default {default!r}"
        )
    return value


def _number(
    environment: Mapping[str, str], name: str, default: float, low: float, high: float, whole: bool = False
) -> float:
    raw = environment.get(name, str(default))
    kind = "a whole number" if whole else "a number"
    refusal = InvalidSetting(f"{name}: expected {kind} from {low:g} to {high:g}, got {raw!r}")
    try:
        value = int(raw) if whole else float(raw)
    except ValueError:
        raise refusal from None
    if not low <= value <= high:
        raise refusal
    return value


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name) or "0"
    if value not in ("0", "1"):
        raise InvalidSetting(f"{name}: expected 0 or 1, got {value!r}")
    return value == "1"


def _choice(environment: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = environment.get(name, default).lower()
    if value not in choices:
        raise InvalidSetting(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def _existing(raw: str) -> Path:
    path = Path(raw).expanduser().absolute()
    if not path.exists():
        raise InvalidSetting(
            f"DIGITS_MNIST: expected the path of mnist.npz or of a folder of MNIST's IDX files, "
            f"got {raw!r}, which does not exist"
        )
    return path


def _url(raw: str) -> str:
    url = raw.strip()
    if url and not url.startswith(("http://", "https://")):
        raise InvalidSetting(
            "DIGITS_MNIST_URL: expected an http:// or https:// address, or nothing to never download, "
            f"got {raw!r}"
        )
    return url


def _address(environment: Mapping[str, str], name: str, read: Callable[[str], str]) -> str | None:
    raw = environment.get(name, "").strip()
    try:
        return read(raw) if raw else None
    except BadUrl as error:
        raise InvalidSetting(f"{name}: {error}") from None


def _file(environment: Mapping[str, str], name: str) -> Path | None:
    raw = environment.get(name, "").strip()
    return Path(raw).expanduser().absolute() if raw else None


def _tls(environment: Mapping[str, str]) -> Tls | None:
    certificate, key = _file(environment, "DIGITS_TLS_CERT"), _file(environment, "DIGITS_TLS_KEY")
    client_ca = _file(environment, "DIGITS_TLS_CLIENT_CA")
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        missing = "DIGITS_TLS_CERT" if certificate is None else "DIGITS_TLS_KEY"
        raise InvalidSetting(
            f"{missing}: expected the path of a PEM file: TLS needs a certificate and its key"
        )
    try:
        return read_tls(certificate, key, client_ca)
    except BadFile as error:
        raise InvalidSetting(
            f"DIGITS_TLS_CERT, DIGITS_TLS_KEY{', DIGITS_TLS_CLIENT_CA' if client_ca else ''}: {error}"
        ) from None


def _tokens(environment: Mapping[str, str]) -> Tokens | None:
    path = _file(environment, "DIGITS_TOKENS_FILE")
    try:
        return None if path is None else read_tokens(path)
    except BadFile as error:
        raise InvalidSetting(f"DIGITS_TOKENS_FILE: {error}") from None


def _metrics_port(environment: Mapping[str, str]) -> int | None:
    if not environment.get("DIGITS_METRICS_PORT", ""):
        return None
    return int(_number(environment, "DIGITS_METRICS_PORT", 0, 0, 65535, whole=True))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
