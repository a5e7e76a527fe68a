"""The client of the serving benchmark counts what really became of its calls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOAD = Path(__file__).with_name("serving_load.py")


def told(server: Any, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(LOAD), server.address, *arguments, "--seconds=0.3"]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout))


@pytest.mark.parametrize("image", ["raw", "png", "batch"])
def test_it_asks_in_every_form_and_is_answered(live_server: Any, image: str) -> None:
    outcome = told(live_server, "closed", f"--image={image}", "--in-flight=2")
    assert outcome["failed"] == {}
    assert outcome["answered"] == len(outcome["latencies_ms"]) > 0
    assert 0 < outcome["p50_ms"] <= outcome["p99_ms"]


def test_it_sends_at_the_rate_that_it_is_told(live_server: Any) -> None:
    outcome = told(live_server, "open", "--rate=100", "--in-flight=4")
    assert outcome["failed"] == {}
    assert 10 <= outcome["answered"] <= 60


def test_who_is_refused_is_counted_and_stays_away(launch_server: Any) -> None:
    outcome = told(launch_server(DIGITS_MNIST=""), "closed", "--in-flight=900")
    assert outcome["failed"] == {}
    assert outcome["refused"] > 0
    assert outcome["answered"] > 0
