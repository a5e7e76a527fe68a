"""Training runs with real child processes, on the built-in digits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from server.database import open_database, trainings
from server.datasets import DataPreparation
from server.gate import GateReport
from server.models import ModelStore
from server.protocol import Phase
from server.samples import SampleSet
from server.samples.sets import sample_set
from server.training import Patience, TrainingRun, Trainings

# A child on a busy machine: TensorFlow alone takes seconds to import.
TRAINING_TIMEOUT_S = 600.0
# The cheapest run there is: the small network, once over 4,000 digits.
QUICK = {"epochs": 1, "batch_size": 128}
# The run that is watched from its start to its end, and that an interrupted one must not differ from.
WATCHED = {"epochs": 2, "seed": 5}


# What the lab's gate says of every version.
PASSED = GateReport(passed=True, serving_version=7, comparisons=(), reasons=())


class Lab:
    """One data directory, with the trainings on it; `restart` is what a new server does."""

    def __init__(self, folder: Path, data: DataPreparation) -> None:
        self.folder = folder
        self.data = data
        self.database = open_database(f"sqlite:///{folder / 'digits.db'}")
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

    def close(self) -> None:
        """End everything; no child outlives it."""
        self.trainings.close()
        self.database.dispose()
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


def wait_for_child() -> psutil.Process:
    """The training child, as soon as there is one."""
    deadline = time.monotonic() + 60
    while not (found := children()):
        assert time.monotonic() < deadline, "no child was started"
        time.sleep(0.01)
    return found[0]


@pytest.fixture(scope="session")
def preparation(builtin_root: Path) -> Iterator[DataPreparation]:
    """The built-in digits, ready."""
    with DataPreparation(builtin_root) as preparation:
        preparation.wait(60)
        yield preparation


@pytest.fixture(scope="session")
def new_lab() -> Callable[[Path, DataPreparation], Lab]:
    """`new_lab(folder, preparation)` opens a data directory; its user closes it."""
    return Lab


@pytest.fixture
def lab(tmp_path: Path, preparation: DataPreparation) -> Iterator[Lab]:
    """An empty data directory of its own."""
    lab = Lab(tmp_path, preparation)
    yield lab
    lab.close()


@pytest.fixture
def as_watched() -> dict[str, object]:
    """The options of the watched run, a `cnn`."""
    return dict(WATCHED)


@pytest.fixture
def quick() -> dict[str, object]:
    """Options that make a run as short as it can be."""
    return dict(QUICK)


@pytest.fixture
def child() -> Callable[[], psutil.Process]:
    """`child()` waits for the training child and gives it."""
    return wait_for_child


class Watched:
    """A run that was watched from its start to its end."""

    def __init__(self, lab: Lab, start: Callable[[Lab], TrainingRun]) -> None:
        self.lab = lab
        self.snapshots: list[TrainingRun] = []
        unsubscribe = lab.trainings.subscribe(self._note)
        self.started = start(lab)
        self.ended = lab.wait_for_end(self.started.training_id)
        # Told a moment after it can be seen.
        deadline = time.monotonic() + 60
        while not self.snapshots[-1].state.is_final:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        unsubscribe()

    def _note(self, training_id: str) -> None:
        self.snapshots.append(self.lab.trainings.get(training_id))


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory, preparation: DataPreparation) -> Iterator[Watched]:
    """One whole run of the convolutional network, shared by all tests that only look."""
    lab = Lab(tmp_path_factory.mktemp("watched"), preparation)
    yield Watched(lab, lambda lab: lab.trainings.start("cnn", WATCHED, deploy_when_done=True))
    lab.close()
