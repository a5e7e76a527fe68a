"""A data directory with the trainings on it, as its owner has them, wherever the training is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
from sqlalchemy import update

from server.database import open_database, trainings
from server.datasets import DataPreparation
from server.gate import GateReport
from server.models import ModelStore
from server.protocol import Phase
from server.samples import SampleSet
from server.samples.sets import sample_set
from server.training import Launch, Patience, TrainingChild, TrainingRun, Trainings

# A child on a busy machine: TensorFlow alone takes seconds to import.
TRAINING_TIMEOUT_S = 600.0

# What the lab's gate says of every version.
PASSED = GateReport(passed=True, serving_version=7, comparisons=(), reasons=())


class Lab:
    """One data directory, with the trainings on it; `restart` is what a new server does."""

    def __init__(
        self,
        folder: Path,
        data: DataPreparation,
        launch: Launch = TrainingChild,
        at_once: Callable[[], int] = lambda: 1,
        database_url: str | None = None,
    ) -> None:
        self.folder = folder
        self.launch = launch
        self.at_once = at_once
        self.data = data
        self.database = open_database(database_url or f"sqlite:///{folder / 'digits.db'}")
        self.store = ModelStore(folder / "models")
        self.patience = Patience()
        self.versions: list[tuple[int, bool]] = []
        self.samples: Callable[[], SampleSet] = lambda: sample_set(())
        self.deployed: int | None = None
        self.trainings = self._open()

    def _open(self) -> Trainings:
        return Trainings(
            self.database,
            self.store,
            self.data,
            self.folder,
            self._on_version,
            patience=self.patience,
            samples=lambda: self.samples(),
            deployed=lambda: self.deployed,
            launch=self.launch,
            at_once=lambda: self.at_once(),
        )

    def _on_version(self, version: int, deploy: bool) -> GateReport:
        self.versions.append((version, deploy))
        return PASSED

    def crash(self) -> None:
        """`restart` after an end that leaves the rows as a killed server does: what trained says so."""
        running = [run.training_id for run in self.trainings.list(0, 100)[0] if run.state.value == "running"]
        self.trainings.close()
        with self.database.begin() as connection:
            cut_off = update(trainings).where(trainings.c.id.in_(running))
            connection.execute(cut_off.values(state="running"))
        self.restart()

    def restart(self, patience: Patience | None = None) -> None:
        """Take up what the trainings before left."""
        self.trainings.close()
        self.patience = patience or self.patience
        self.trainings = self._open()

    def end(self) -> None:
        """End everything."""
        self.trainings.close()
        self.database.dispose()

    def close(self) -> None:
        """End everything; no child outlives it."""
        self.end()
        assert not children()

    def wait_until(
        self,
        training_id: str,
        condition: Callable[[TrainingRun], bool],
        timeout_s: float = TRAINING_TIMEOUT_S,
    ) -> TrainingRun:
        """The run, as soon as it fulfils `condition`."""
        deadline = time.monotonic() + timeout_s
        while not condition(run := self.trainings.get(training_id)):
            assert not run.state.is_final, f"it ended before: {run}"
            assert time.monotonic() < deadline, f"it did not come about: {run}"
            time.sleep(0.02)
        return run

    def wait_for_end(self, training_id: str) -> TrainingRun:
        """The run in its final state."""
        return self.wait_until(training_id, lambda run: run.state.is_final)

    def wait_for_epoch(self, training_id: str, epoch: int) -> TrainingRun:
        """The run once it has finished `epoch`."""
        return self.wait_until(training_id, lambda run: len(run.history) >= epoch)

    def wait_for_phase(self, training_id: str, phase: Phase) -> TrainingRun:
        """The run once it is in `phase`."""
        return self.wait_until(
            training_id, lambda run: run.progress is not None and run.progress.phase is phase
        )

    @property
    def staged(self) -> list[Path]:
        """What lies in the staging area."""
        return list((self.folder / "models" / ".staging").iterdir())


def children() -> list[psutil.Process]:
    """The training children of this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "server.trainer" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_for_children(number: int) -> list[psutil.Process]:
    """The training children, as soon as there are so many."""
    deadline = time.monotonic() + 60
    while len(found := children()) != number:
        assert time.monotonic() < deadline, f"expected {number} children, there are {found}"
        time.sleep(0.01)
    return found
