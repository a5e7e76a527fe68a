"""`digits health`: whether a server answers, and with what."""

from __future__ import annotations

import argparse
import time

from digits.cli.command import Commands, Exit, Output
from digits.client import Client


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    health = commands.add_parser("health", parents=[common], help="whether the server answers, and with what")
    health.set_defaults(run=run_health)


def run_health(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Exit 0: it answers predictions. Refused when no version is deployed."""
    began = time.perf_counter()
    model = client.get_model(timeout_s=options.timeout)
    milliseconds = 1000 * (time.perf_counter() - began)
    data = client.list_datasets(timeout_s=options.timeout)
    described = data.data_source.description if data.data_source else data.data_progress
    value = {
        "address": client.address,
        "model_version": model.model_version,
        "round_trip_ms": round(milliseconds, 1),
        "data": described,
        "is_data_ready": not data.data_progress,
    }
    output.result(
        value,
        f"{client.address} answers with version {model.model_version}, in {milliseconds:.0f} ms\n"
        f"data: {described}",
    )
    return Exit.DONE
