"""`digits models`, `digits deploy` and `digits export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from digits.cli.command import Commands, Exit, Output, add_version, choice, percent, table
from digits.client import Client
from digits.client.choices import ExportFormat
from digits.client.records import Model


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    models = commands.add_parser("models", parents=[common], help="list the versions, newest first")
    models.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many, 1 to 100 (20)")
    models.set_defaults(run=run_models)

    deploy = commands.add_parser("deploy", parents=[common], help="make a version the one that answers")
    deploy.add_argument("model_version", type=int, metavar="VERSION")
    deploy.add_argument("--cause", default="", metavar="WHY", help="for the list of deployments")
    deploy.set_defaults(run=run_deploy)

    export = commands.add_parser("export", parents=[common], help="write a version as a file")
    add_version(export)
    export.add_argument(
        "--format",
        type=choice(ExportFormat),
        required=True,
        metavar="NAME",
        help="keras, saved_model, tflite or onnx",
    )
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="by default the name that the server gives"
    )
    export.set_defaults(run=run_export)


def run_models(client: Client, options: argparse.Namespace, output: Output) -> int:
    """A line for each version; the deployed one is marked."""
    page = client.list_models(options.limit, timeout_s=options.timeout)
    rows: list[tuple[object, ...]] = [
        (
            model.model_version,
            _state(model),
            model.provenance.recipe,
            _accuracy(model),
            model.parameters,
            model.create_time.strftime("%Y-%m-%d %H:%M"),
        )
        for model in page.models
    ]
    rows += [(lost.model_version, "damaged", "–", "–", "–", "–") for lost in page.unreadable_models]
    titles = ("VERSION", "", "PRESET", "TEST ACCURACY", "PARAMETERS", "MADE (UTC)")
    output.result(page, table(titles, rows) if rows else "No versions yet.")
    return Exit.DONE


def run_deploy(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Deploy, and say so."""
    model = client.deploy_model(options.model_version, cause=options.cause, timeout_s=options.timeout)
    output.result(model, f"version {model.model_version} answers now")
    return Exit.DONE


def run_export(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Write the file whole or not at all."""
    export = client.export_model(options.format, options.model_version, timeout_s=options.timeout)
    # The server's name is a suggestion: never a way out of this folder.
    path = options.output or Path(Path(export.file_name).name)
    path.write_bytes(export.data)
    value = {
        "file": str(path),
        "model_version": export.model_version,
        "bytes": len(export.data),
        "sha256": export.sha256,
    }
    output.result(value, f"{path}: version {export.model_version}, {len(export.data):,} bytes")
    return Exit.DONE


def _state(model: Model) -> str:
    """Whether it answers, and whether its files are as they were saved."""
    words = ("deployed" if model.is_deployed else "", "damaged" if model.damage else "")
    return ", ".join(filter(None, words))


def _accuracy(model: Model) -> str:
    return percent(model.evaluation.accuracy) if model.evaluation else "–"
