"""Where the runs of a data directory keep what is not in the database."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

SCRATCH = ".tmp"


@dataclass(frozen=True)
class RunFolders:
    """The folders of training runs under the data directory `root`."""

    root: Path

    def log_file(self, training_id: str) -> Path:
        """What the child and its libraries print."""
        return self.root / "logs" / f"{training_id}.log"

    def scratch(self, training_id: str) -> Path:
        """What the child's libraries leave while they work. There only until the child has ended."""
        return self.root / "logs" / f"{training_id}{SCRATCH}"

    def checkpoints(self, training_id: str) -> Path:
        """What a run needs to go on after it was cut off. There only until it has ended."""
        return self.root / "checkpoints" / training_id

    def samples(self, training_id: str) -> Path:
        """The samples that a run learns, the same however often it goes on. There only until it has ended."""
        return self.checkpoints(training_id) / "samples.npz"

    def tensorboard(self, training_id: str) -> Path:
        """TensorBoard's logs of a run."""
        return self.root / "tensorboard" / training_id

    def forget_checkpoints(self, training_id: str) -> None:
        """Remove the checkpoint of a run that has ended."""
        shutil.rmtree(self.checkpoints(training_id), ignore_errors=True)

    def clean(self, live: Collection[str]) -> None:
        """Remove the checkpoints of all runs but those, and what the libraries of killed children have left.

        For the start of a server, before any run.
        """
        folder = self.root / "checkpoints"
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in live:
                shutil.rmtree(path, ignore_errors=True)
                log.info("checkpoint removed", extra={"training_id": path.name})
        for path in (self.root / "logs").glob(f"*{SCRATCH}"):
            shutil.rmtree(path, ignore_errors=True)
