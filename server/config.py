"""The server's settings, read once from the environment at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"


class InvalidSetting(Exception):
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
    return Config(
        host=_text(environment, "DIGITS_HOST", "127.0.0.1"),
        port=int(_number(environment, "DIGITS_PORT", 50051, 0, 65535, whole=True)),
        data=Path(_text(environment, "DIGITS_DATA", "data")).expanduser().absolute(),
        mnist=_existing(mnist) if mnist else None,
        mnist_url=_url(environment.get("DIGITS_MNIST_URL", MNIST_URL)),
        log_level=_choice(environment, "DIGITS_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        shutdown_grace_s=_number(environment, "DIGITS_SHUTDOWN_GRACE_S", 10.0, 0.0, 300.0),
        is_replica=is_replica,
        shares_port=shares_port,
    )


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
