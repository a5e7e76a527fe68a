"""`python -m server.trainer.ship --out server/shipped`: train the version that comes with the software.

It goes through the same code as every training. DIGITS_MNIST must name MNIST: trained on the full set, the
version has never learnt from the built-in digits, and can honestly be shown wrong on them without a network.
DIGITS_PEN_STROKES must name the pen strokes that it learns from too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from server.config import InvalidSetting, read_config
from server.datasets.prepare import prepare
from server.errors import DigitsError
from server.models.version import read_version
from server.protocol import TrainingSpec
from server.recipes import RECIPES, resolve
from server.trainer.reporter import Reporter
from server.trainer.run import train

RECIPE = "cnn-best"
# Of seeds 1 and 2, the better one on validation digits.
SEED = 2


def main(arguments: list[str] | None = None) -> int:
    """Train and write the folder. Exit code 0, or 2 with a line on standard error for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m server.trainer.ship", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the version folder to write or replace")
    parser.add_argument("--epochs", type=int, default=RECIPES[RECIPE].defaults.epochs)
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args(arguments)
    try:
        mnist = read_config(os.environ).mnist
        if mnist is None:
            raise InvalidSetting("DIGITS_MNIST: expected the path of MNIST, got nothing")
        # Only here: no server needs them.
        pen_strokes = os.environ.get("DIGITS_PEN_STROKES", "")
        if not pen_strokes:
            raise InvalidSetting("DIGITS_PEN_STROKES: expected the path of the pen strokes, got nothing")
        ship(chosen.out, mnist, Path(pen_strokes), chosen.epochs, chosen.seed)
    except (InvalidSetting, DigitsError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def ship(out: Path, mnist: Path, pen_strokes: Path, epochs: int, seed: int) -> None:
    """Train on the MNIST and the pen strokes at these places and put the version folder at `out`.

    Raises DigitsError, OSError.
    """
    options = resolve(RECIPE, {"epochs": epochs, "seed": seed})
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        datasets, staging = Path(folder) / "datasets", Path(folder) / "version"
        prepare(datasets, mnist, "", lambda step, message: _say(step, {"message": message}))
        staging.mkdir()
        spec = TrainingSpec(
            training_id="", recipe=RECIPE, options=options, datasets=datasets, staging=staging
        )
        with Reporter(_say, epochs) as reporter:
            command = f"python -m server.trainer.ship --epochs {epochs} --seed {seed}"
            train(spec, reporter, command=command, pen_strokes=pen_strokes)
        shutil.rmtree(out, ignore_errors=True)
        staging.rename(out)
    version = read_version(out, version=0)
    _say("done", {"accuracy": version.metrics.accuracy, "validation_accuracy": version.validation_accuracy})


def _say(event: str, values: dict[str, Any]) -> None:
    if event != "progress":
        sys.stdout.write(f"{event}: {', '.join(f'{name} {value}' for name, value in values.items())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
