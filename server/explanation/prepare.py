"""`python -m server.explanation.prepare`: the features of all training digits, as one version sees them.

A program of its own, behind everything else: 55,000 digits take seconds, and cutting the artifact takes onnx.
Exit status 2 with one sentence on standard error: it cannot be done.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from server.datasets import Data
from server.errors import DigitsError
from server.explanation.cut import NoFeatures, cut
from server.explanation.feature_files import (
    NETWORK,
    UNFINISHED,
    folder_name,
    remove_old,
    remove_unfinished,
    write_features,
)
from server.inference.features import FeatureEngine
from server.lifeline import end_with_stdin
from server.models.files import sync

EXIT_REFUSED = 2
NICENESS = 15


def prepare(artifact: Path, artifact_sha256: str, datasets: Path, root: Path) -> Path:
    """Write the features under `root`; returns their folder. Raises DigitsError, NoFeatures, OSError."""
    data = Data.open(datasets)
    folder = root / folder_name(artifact_sha256, data.source.sha256)
    unfinished = root / f"{UNFINISHED}{folder.name}"
    root.mkdir(parents=True, exist_ok=True)
    remove_unfinished(root)
    unfinished.mkdir()
    cut(artifact, unfinished / NETWORK)
    engine = FeatureEngine(unfinished / NETWORK)
    write_features(unfinished, data.split(use_all=False).train.images, engine.features)
    for path in unfinished.iterdir():
        sync(path)
    shutil.rmtree(folder, ignore_errors=True)  # One that could not be read.
    unfinished.rename(folder)
    remove_old(root)
    return folder


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m server.explanation.prepare", description=__doc__)
    parser.add_argument("--artifact", type=Path, required=True, help="the version's model.onnx")
    parser.add_argument("--sha256", required=True, help="of the artifact")
    parser.add_argument("--datasets", type=Path, required=True, help="folder of the prepared digits")
    parser.add_argument("--root", type=Path, required=True, help="folder for the features")
    parser.add_argument("--end-with-stdin", action="store_true", help="stop when standard input is closed")
    options = parser.parse_args(arguments)
    if options.end_with_stdin:
        end_with_stdin()
    os.nice(NICENESS)
    try:
        prepare(options.artifact, options.sha256, options.datasets, options.root)
    except DigitsError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_REFUSED
    except (NoFeatures, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
