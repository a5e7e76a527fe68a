"""What only a cluster needs to be told, beside the settings of every server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from server.config import InvalidSetting

MAX_REPLICAS = 1000
MAX_CPUS = 1024


@dataclass(frozen=True)
class ClusterSettings:
    """Every setting of the cluster; docs/ray.md tells the same in words."""

    address: str
    """Of a Ray that runs already: `auto` or `host:port`; empty for one of its own on this machine."""
    smallest: int
    """How many predictors there are at least."""
    largest: int
    predictor_cpus: float
    """What Ray counts a predictor as; a fraction lets several share a processor."""
    training_cpus: float
    """What Ray counts a run that trains as."""
    training_gpus: float


def read_settings(environment: Mapping[str, str]) -> ClusterSettings:
    """Read the settings from `environment`. Raises InvalidSetting for the first bad one."""
    smallest, largest = _range(environment, "DIGITS_RAY_REPLICAS", "1-4")
    return ClusterSettings(
        address=_address(environment),
        smallest=smallest,
        largest=largest,
        predictor_cpus=_number(environment, "DIGITS_RAY_PREDICTOR_CPUS", 0.5, 0.01),
        training_cpus=_number(environment, "DIGITS_RAY_TRAINING_CPUS", 2, 0.01),
        training_gpus=_number(environment, "DIGITS_RAY_TRAINING_GPUS", 0, 0),
    )


def _address(environment: Mapping[str, str]) -> str:
    address = environment.get("DIGITS_RAY_ADDRESS", "").strip()
    if address and address != "auto" and not re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[\w.-]+):\d{1,5}", address):
        raise InvalidSetting(
            "DIGITS_RAY_ADDRESS: expected auto, host:port of a Ray that runs (its GCS, as a rule port 6379), "
            f"or nothing for a Ray of its own, got {address!r}"
        )
    return address


def _range(environment: Mapping[str, str], name: str, default: str) -> tuple[int, int]:
    raw = environment.get(name, default)
    read = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", raw)
    smallest, largest = (int(read[1]), int(read[2] or read[1])) if read else (0, 0)
    if not 1 <= smallest <= largest <= MAX_REPLICAS:
        raise InvalidSetting(
            f"{name}: expected a number of predictors, or the smallest and the largest as in 1-4, from 1 to "
            f"{MAX_REPLICAS}, got {raw!r}"
        )
    return smallest, largest


def _number(environment: Mapping[str, str], name: str, default: float, low: float) -> float:
    raw = environment.get(name, str(default))
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    # Ray takes halves of one, and whole ones beyond it.
    if not low <= value <= MAX_CPUS or (value > 1 and value != int(value)):
        raise InvalidSetting(
            f"{name}: expected a fraction from {low:g} to 1, or a whole number up to {MAX_CPUS}, got {raw!r}"
        )
    return value
