"""`digits samples`: people's own labelled drawings."""

from __future__ import annotations

import argparse
from pathlib import Path

from digits.cli.command import Commands, Exit, Output, add_version, digit, file, plain, table
from digits.client import Client
from digits.client.records import SampleFilter


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    samples = commands.add_parser("samples", help="labelled drawings: list, add, export, import, delete")
    actions = samples.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = actions.add_parser("list", parents=[common], help="list the samples, newest first")
    _add_filter(listing)
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many, 1 to 1000 (20)")
    listing.set_defaults(run=run_list)

    adding = actions.add_parser("add", parents=[common], help="keep drawings of one digit")
    adding.add_argument("files", nargs="+", type=file, metavar="FILE", help="PNG, JPEG, WebP or BMP")
    adding.add_argument("--label", type=digit, required=True, metavar="DIGIT", help="the digit that they are")
    add_version(adding)
    adding.set_defaults(run=run_add)

    export = actions.add_parser("export", parents=[common], help="write samples to a zip archive")
    export.add_argument("file", type=Path, metavar="FILE")
    _add_filter(export)
    export.set_defaults(run=run_export)

    importing = actions.add_parser("import", parents=[common], help="add the samples of such an archive")
    importing.add_argument("file", type=file, metavar="FILE")
    importing.set_defaults(run=run_import)

    delete = actions.add_parser("delete", parents=[common], help="forget samples")
    delete.add_argument("sample_ids", nargs="+", metavar="ID")
    delete.set_defaults(run=run_delete)


def run_list(client: Client, options: argparse.Namespace, output: Output) -> int:
    """A line for each sample."""
    page = client.list_samples(_filter(options), page_size=options.limit, timeout_s=options.timeout)
    rows = [
        (
            sample.sample_id,
            sample.label,
            sample.predicted_digit,
            sample.use.name.lower(),
            sample.create_time.strftime("%Y-%m-%d %H:%M"),
        )
        for sample in page.samples
    ]
    lines = table(("SAMPLE", "LABEL", "PREDICT", "USE", "ADDED (UTC)"), rows) if rows else ""
    count = f"{len(rows)} of {page.total_size} samples" if rows else "No such samples."
    output.result(page, "\n".join(line for line in (lines, count) if line))
    return Exit.DONE


def run_add(client: Client, options: argparse.Namespace, output: Output) -> int:
    """A line for each drawing: its id, and what was read in it."""
    added = []
    for path in options.files:
        kept = client.add_sample(
            path.read_bytes(),
            options.label,
            model_version=options.model_version,
            timeout_s=options.timeout,
        ).sample
        added.append({"file": str(path), **plain(kept)})
        if not output.is_json:
            output.result(None, f"{path}: {kept.sample_id}, read as {kept.predicted_digit}")
    if output.is_json:
        output.result(added, "")
    return Exit.DONE


def run_export(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Write the archive beside its place and move it there when it is whole."""
    part: Path = options.file.with_name(f"{options.file.name}.part")
    written = 0
    try:
        with part.open("wb") as archive:
            for chunk in client.export_samples(_filter(options), timeout_s=options.timeout):
                written += archive.write(chunk)
        part.replace(options.file)
    finally:
        part.unlink(missing_ok=True)
    output.result({"file": str(options.file), "bytes": written}, f"{options.file}: {written:,} bytes")
    return Exit.DONE


def run_import(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Add all samples of an archive, or none."""
    result = client.import_samples(options.file.read_bytes(), timeout_s=options.timeout)
    output.result(
        result, f"{result.added} added, {result.known} known already, {result.total_size} samples in all"
    )
    return Exit.DONE


def run_delete(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Forget one after the other; stops at the first that is not there."""
    for sample_id in options.sample_ids:
        client.delete_sample(sample_id, timeout_s=options.timeout)
    output.result({"deleted": options.sample_ids}, f"{len(options.sample_ids)} forgotten")
    return Exit.DONE


def _add_filter(command: argparse.ArgumentParser) -> None:
    command.add_argument("--label", type=digit, metavar="DIGIT", help="only samples that are this digit")
    command.add_argument("--predicted", type=digit, metavar="DIGIT", help="only samples read as this digit")
    misread = command.add_mutually_exclusive_group()
    misread.add_argument("--misread", action="store_true", dest="is_misread", help="only misread ones")
    misread.add_argument("--read", action="store_false", dest="is_misread", help="only those read correctly")
    command.set_defaults(is_misread=None)


def _filter(options: argparse.Namespace) -> SampleFilter:
    return SampleFilter(label=options.label, predicted_digit=options.predicted, is_misread=options.is_misread)
