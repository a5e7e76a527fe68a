"""Training runs with real child processes, on the built-in digits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from training_lab import Lab, wait_for_children

from server.datasets import DataPreparation
from server.training import TrainingRun

# The cheapest run there is: the small network, once over 4,000 digits.
QUICK = {"epochs": 1, "batch_size": 128}
# The run that is watched from its start to its end, and that an interrupted one must not differ from.
WATCHED = {"epochs": 2, "seed": 5}


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
    return lambda: wait_for_children(1)[0]


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
